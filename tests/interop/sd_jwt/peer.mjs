import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import { serve } from '../serve.mjs'

const { SDJwtInstance } = await import('@sd-jwt/core')
const { SDJwtVcInstance } = await import('@sd-jwt/sd-jwt-vc')

const P1363 = 'ieee-p1363'
const hasher = (data, name = 'sha-256') => createHash(name.replace('-', '')).update(data).digest()

const signer = (jwk) => {
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  return (data) => sign('sha256', data, { key, dsaEncoding: P1363 }).toString('base64url')
}

const verifier = (jwk) => {
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  return (data, signature) =>
    verify('sha256', data, { key, dsaEncoding: P1363 }, Buffer.from(signature, 'base64url'))
}

// credential: whether it is an SD-JWT VC, else any SD-JWT.
function instance(credential, more) {
  const Instance = credential ? SDJwtVcInstance : SDJwtInstance
  return new Instance({
    hasher, hashAlg: 'sha-256', saltGenerator: (length) => randomBytes(length).toString('base64url'), ...more
  })
}

await serve({
  issue: ({ credential, key, claims, frame }) =>
    instance(credential, { signer: signer(key), signAlg: 'ES256' }).issue(claims, frame),

  present: ({ credential, token, frame, holder, audience, nonce, now }) =>
    instance(credential, { kbSigner: signer(holder), kbSignAlg: 'ES256' })
      .present(token, frame, { kb: { payload: { iat: now, aud: audience, nonce } } }),

  verify: async ({ credential, token, key, nonce, now }) => {
    const kbVerifier = (data, signature, payload) => verifier(payload.cnf.jwk)(data, signature)
    const { payload, kb } = await instance(credential, { verifier: verifier(key), kbVerifier })
      .verify(token, { currentDate: now, keyBindingNonce: nonce, disableStatusVerification: true })
    return { claims: payload, keyBinding: kb?.payload }
  }
})
