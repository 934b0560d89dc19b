// Who is bound by a key: by six digits that two people compare, or by a card that was handed out before.
import {
  createHmac, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, randomBytes
} from 'node:crypto'
import * as hpke from '@hpke/core'
import * as jose from 'jose'
import { sha256, transfer } from '../messages.mjs'

const utf8 = (text) => Buffer.from(text, 'utf8')
const raw = (text) => Buffer.from(text, 'base64url')
const array = (buffer) => new Uint8Array(buffer).buffer
const suite = new hpke.CipherSuite({
  kem: new hpke.DhkemX25519HkdfSha256(), kdf: new hpke.HkdfSha256(), aead: new hpke.Aes256Gcm()
})

// psk: none in base mode.
async function openHpke(jwk, { enc, ciphertext, info, psk }) {
  const recipientKey = await suite.kem.deserializePrivateKey(array(raw(jwk.d)))
  const given = { recipientKey, enc: array(enc), info: array(info), ...(psk && { psk }) }
  const opened = await (await suite.createRecipientContext(given)).open(array(ciphertext))
  return JSON.parse(Buffer.from(opened).toString('utf8'))
}

export class Receiver {
  static async make() {
    const receiver = new Receiver()
    const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
    receiver.proof = { jwk: await jose.exportJWK(publicKey), privateKey }
    receiver.thumbprint = await jose.calculateJwkThumbprint(receiver.proof.jwk)
    receiver.opener = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' })
    return receiver
  }

  async card(name) {
    const text = await new jose.SignJWT({ name, x: this.opener.x, iat: Math.floor(Date.now() / 1000) })
      .setProtectedHeader({ alg: 'ES256', typ: 'sct-contact+jwt', jwk: this.proof.jwk }).sign(this.proof.privateKey)
    return `sct:c1.${text}`
  }

  // The second message of an approval, to the first.
  answer({ format, content: { step, commit } }) {
    if (format !== 'sct.approve/1' || step !== 1) throw new Error('nothing that is to be approved')
    this.commit = raw(commit)
    this.random = randomBytes(32)
    return {
      format,
      content: {
        step: 2,
        public_key: this.opener.x,
        random: this.random.toString('base64url'),
        proof_key_thumbprint: this.thumbprint
      }
    }
  }

  // The digits that the third message leads to.
  compare(secret, { content: { step, public_key: key, random } }) {
    const sent = [raw(key), raw(random)]
    if (step !== 3 || !sha256(utf8('sct/2 commit'), ...sent).equals(this.commit)) throw new Error('another sender')
    this.sender = key
    const answered = [raw(this.opener.x), this.random, raw(this.thumbprint)]
    const digest = sha256(utf8('sct/2 sas'), transfer(secret).context, ...sent, ...answered)
    return (BigInt('0x' + digest.toString('hex')) % 1000000n).toString().padStart(6, '0')
  }

  // sealed: content of a message; confirmed: whether it must be that of the sender of an approval.
  async open(secret, { format, content }, { confirmed }) {
    if (format !== 'sct.sealed/1') throw new Error('nothing that is sealed')
    const { hpke: terms, enc, ciphertext, confirmation } = content
    if (JSON.stringify(terms) !== '{"mode":"psk","kem":32,"kdf":1,"aead":2}') throw new Error('sealed otherwise')
    const { context, psk } = transfer(secret)
    if (confirmed && confirmation !== this.#confirmation(context, `${enc}.${ciphertext}`)) {
      throw new Error('not the sender whose digits were compared')
    }
    return openHpke(this.opener, {
      enc: raw(enc),
      ciphertext: raw(ciphertext),
      info: Buffer.concat([utf8('sct/2 offer'), context]),
      psk: { id: array(context), key: array(psk) }
    })
  }

  openFile(text) {
    const sealed = raw(text.replace(/^sct:s1\./, ''))
    return openHpke(this.opener, {
      enc: sealed.subarray(0, 32), ciphertext: sealed.subarray(32), info: utf8('sct/2 file')
    })
  }

  #confirmation(context, text) {
    const shared = diffieHellman({
      privateKey: createPrivateKey({ key: this.opener, format: 'jwk' }),
      publicKey: createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: this.sender }, format: 'jwk' })
    })
    const key = Buffer.from(hkdfSync('sha256', shared, context, utf8('sct/2 approve'), 32))
    return createHmac('sha256', key).update(text).digest('base64url')
  }
}
