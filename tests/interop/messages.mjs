// Messages of transfers, from their description and not from the project's code.
import {
  createCipheriv, createDecipheriv, createHash, createPrivateKey, createPublicKey, hkdfSync, randomBytes, sign
} from 'node:crypto'

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const DRAFT_CIPHERS = { AEAD_AES_128_GCM: 'aes-128-gcm', AEAD_AES_256_GCM: 'aes-256-gcm' }

const utf8 = (text) => Buffer.from(text, 'utf8')
export const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const hkdf = (secret, salt, info) => Buffer.from(hkdfSync('sha256', secret, salt, utf8(info), 32))

export function transfer(secret) {
  const seed = hkdf(secret, utf8('sct/2'), 'claim')
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
  const claim = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')
  const context = sha256(utf8('sct/2 ctx'), claim)
  return { key, claim, context, psk: hkdf(secret, Buffer.alloc(0), 'hpke psk') }
}

export function claimProof(secret, mailbox, claim) {
  const signed = ['sct-claim/1', mailbox.toLowerCase(), claim.toLowerCase()].join('\0')
  return sign(null, utf8(signed), transfer(secret).key).toString('base64url')
}

const number = (n) => {
  const written = Buffer.alloc(4)
  written.writeUInt32BE(n)
  return written
}
const associated = (context, direction, n) => Buffer.concat([utf8('sct/2'), context, utf8(direction), n])

function seal(cipher, key, aad, text) {
  const iv = randomBytes(12)
  const sealing = createCipheriv(cipher, key, iv).setAAD(aad)
  return Buffer.concat([iv, sealing.update(utf8(text)), sealing.final(), sealing.getAuthTag()])
}

function open(cipher, key, aad, sealed) {
  const opening = createDecipheriv(cipher, key, sealed.subarray(0, 12)).setAAD(aad)
  opening.setAuthTag(sealed.subarray(-16))
  return Buffer.concat([opening.update(sealed.subarray(12, -16)), opening.final()]).toString('utf8')
}

export function sealMessage(secret, direction, n, text) {
  const { context } = transfer(secret)
  const key = hkdf(secret, context, `msg ${direction}`)
  const sealed = seal('aes-256-gcm', key, associated(context, direction, number(n)), text)
  return Buffer.concat([Buffer.of(2), number(n), sealed]).toString('base64')
}

export function openMessage(secret, direction, data) {
  const { context } = transfer(secret)
  const message = Buffer.from(data, 'base64')
  const n = message.subarray(1, 5)
  const key = hkdf(secret, context, `msg ${direction}`)
  const text = open('aes-256-gcm', key, associated(context, direction, n), message.subarray(5))
  return { version: message[0], n: n.readUInt32BE(), text }
}

// As draft-secure-credential-transfer-04 has it, with the layout of its version 00.
export function sealDraft(secret, text) {
  const type = secret.length === 16 ? 'AEAD_AES_128_GCM' : 'AEAD_AES_256_GCM'
  return { type, data: seal(DRAFT_CIPHERS[type], secret, Buffer.alloc(0), text).toString('base64') }
}

export function openDraft(secret, { type, data }) {
  return open(DRAFT_CIPHERS[type], secret, Buffer.alloc(0), Buffer.from(data, 'base64'))
}
