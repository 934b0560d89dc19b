import { serve } from '../serve.mjs'

// After serve.mjs, because jose wants globalThis.crypto when it loads.
const jose = await import('jose')
const utf8 = new TextEncoder()

await serve({
  async sign({ jwk, header, claims }) {
    const key = await jose.importJWK(jwk, header.alg)
    return new jose.SignJWT(claims).setProtectedHeader(header).sign(key)
  },

  async verify({ jwt, jwk, options }) {
    const key = jwk ? await jose.importJWK(jwk, jose.decodeProtectedHeader(jwt).alg) : jose.EmbeddedJWK
    const { payload, protectedHeader } = await jose.jwtVerify(jwt, key, {
      ...options,
      currentDate: options.now && new Date(options.now * 1000)
    })
    return { claims: payload, header: protectedHeader }
  },

  async encrypt({ plaintext, jwk, header, apu, apv }) {
    const message = new jose.CompactEncrypt(utf8.encode(plaintext)).setProtectedHeader(header)
    if (apu) {
      message.setKeyManagementParameters({ apu: utf8.encode(apu), apv: utf8.encode(apv) })
    }
    return message.encrypt(await jose.importJWK(jwk, header.alg))
  },

  async decrypt({ jwe, jwk }) {
    const { plaintext, protectedHeader } = await jose.compactDecrypt(jwe, await jose.importJWK(jwk, 'ECDH-ES'))
    return { plaintext: new TextDecoder().decode(plaintext), header: protectedHeader }
  },

  async thumbprint({ jwk, hash }) {
    return jose.calculateJwkThumbprint(jwk, hash)
  }
})
