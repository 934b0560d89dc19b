import { serve } from '../serve.mjs'
import { createCipheriv, createDecipheriv, createHash, createPrivateKey, createPublicKey, hkdfSync, randomBytes } from 'node:crypto'

// After serve.mjs, because it wants globalThis.crypto when it loads.
const hpke = await import('@hpke/core')

const KEMS = { 16: hpke.DhkemP256HkdfSha256, 32: hpke.DhkemX25519HkdfSha256 }
const AEADS = { 1: hpke.Aes128Gcm, 2: hpke.Aes256Gcm }

const bytes = (given) => Buffer.from(given?.hex ?? '', 'hex')
const array = (buffer) => new Uint8Array(buffer).buffer
const hex = (data) => ({ hex: Buffer.from(data).toString('hex') })
const utf8 = (text) => Buffer.from(text, 'utf8')
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const hkdf = (secret, salt, info) => Buffer.from(hkdfSync('sha256', secret, salt, utf8(info), 32))

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

// A transfer, from its description and not from the project's code.
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

function transfer(secret) {
  const seed = hkdf(secret, utf8('sct/2'), 'claim')
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
  const claim = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')
  const context = sha256(utf8('sct/2 ctx'), claim)
  return { claim, context, psk: hkdf(secret, Buffer.alloc(0), 'hpke psk') }
}

const number = (n) => {
  const written = Buffer.alloc(4)
  written.writeUInt32BE(n)
  return written
}
const associated = (context, direction, n) => Buffer.concat([utf8('sct/2'), context, utf8(direction), n])

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
    const { context } = transfer(bytes(secret))
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', hkdf(bytes(secret), context, `msg ${direction}`), iv)
    cipher.setAAD(associated(context, direction, number(n)))
    const ciphertext = Buffer.concat([cipher.update(utf8(text)), cipher.final(), cipher.getAuthTag()])
    return Buffer.concat([Buffer.of(2), number(n), iv, ciphertext]).toString('base64')
  },

  async openMessage({ secret, direction, data }) {
    const { context } = transfer(bytes(secret))
    const sealed = Buffer.from(data, 'base64')
    const n = sealed.subarray(1, 5)
    const key = hkdf(bytes(secret), context, `msg ${direction}`)
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(5, 17))
    decipher.setAAD(associated(context, direction, n))
    decipher.setAuthTag(sealed.subarray(-16))
    const text = Buffer.concat([decipher.update(sealed.subarray(17, -16)), decipher.final()])
    return { version: sealed[0], n: n.readUInt32BE(), text: text.toString('utf8') }
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
