import { serve } from '../serve.mjs'
import { openMessage, sealMessage, sha256, transfer } from '../messages.mjs'

// After serve.mjs, because it wants globalThis.crypto when it loads.
const hpke = await import('@hpke/core')

const KEMS = { 16: hpke.DhkemP256HkdfSha256, 32: hpke.DhkemX25519HkdfSha256 }
const AEADS = { 1: hpke.Aes128Gcm, 2: hpke.Aes256Gcm }

const bytes = (given) => Buffer.from(given?.hex ?? '', 'hex')
const array = (buffer) => new Uint8Array(buffer).buffer
const hex = (data) => ({ hex: Buffer.from(data).toString('hex') })
const utf8 = (text) => Buffer.from(text, 'utf8')

const suiteOf = ({ kem, aead }) =>
  new hpke.CipherSuite({ kem: new KEMS[kem](), kdf: new hpke.HkdfSha256(), aead: new AEADS[aead]() })
const shared = ({ info, psk, pskId }) => ({
  info: array(bytes(info)),
  ...(psk && { psk: { id: array(bytes(pskId)), key: array(bytes(psk)) } })
})
const sender = async (suite, given) =>
  suite.createSenderContext({
    ...shared(given),
    recipientPublicKey: await suite.kem.deserializePublicKey(array(bytes(given.recipient)))
  })
const recipient = async (suite, given) =>
  suite.createRecipientContext({
    ...shared(given),
    enc: array(bytes(given.enc)),
    recipientKey: await suite.kem.deserializePrivateKey(array(bytes(given.key)))
  })

await serve({
  async seal(given) {
    const context = await sender(suiteOf(given), given)
    const sealed = []
    for (const text of given.texts) {
      sealed.push(hex(await context.seal(array(bytes(text)), array(bytes(given.aad)))))
    }
    return { enc: hex(context.enc), sealed, exported: hex(await context.export(array(utf8('label')), 40)) }
  },

  async open(given) {
    const context = await recipient(suiteOf(given), given)
    const texts = []
    for (const sealed of given.sealed) {
      texts.push(hex(await context.open(array(bytes(sealed)), array(bytes(given.aad)))))
    }
    return { texts, exported: hex(await context.export(array(utf8('label')), 40)) }
  },

  async keys({ secret }) {
    const { claim, context, psk } = transfer(bytes(secret))
    return { claim: hex(claim), context: hex(context), psk: hex(psk) }
  },

  async sealMessage({ secret, direction, n, text }) {
    return sealMessage(bytes(secret), direction, n, text)
  },

  async openMessage({ secret, direction, data }) {
    return openMessage(bytes(secret), direction, data)
  },

  async compare({ secret, senderKey, senderRandom, receiverKey, receiverRandom, thumbprint }) {
    const { context } = transfer(bytes(secret))
    const sent = [bytes(senderKey), bytes(senderRandom)]
    const answered = [bytes(receiverKey), bytes(receiverRandom), bytes(thumbprint)]
    const digest = sha256(utf8('sct/2 sas'), context, ...sent, ...answered)
    const digits = BigInt('0x' + digest.toString('hex')) % 1000000n
    return { commitment: hex(sha256(utf8('sct/2 commit'), ...sent)), digits: digits.toString().padStart(6, '0') }
  }
})
