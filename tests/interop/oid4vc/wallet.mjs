// A wallet made of the unmodified client of @openid4vc/openid4vci, with npm `jose` for keys and encryption. The
// client knows nothing of encrypted requests, so its `fetch` seals what goes to the credential endpoints.
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import * as jose from 'jose'
import * as oauth2 from '@openid4vc/oauth2'
import { Openid4vciClient, setGlobalConfig } from '@openid4vc/openid4vci'

setGlobalConfig({ allowInsecureUrls: true }) // the issuer of the test is on this machine, without TLS

export class Wallet {
  // curve: of the issuer's key that requests are encrypted to. encrypts: whether they are.
  constructor({ clientId, curve = 'P-256', encrypts = true }) {
    this.clientId = clientId
    this.curve = curve
    this.encrypts = encrypts
    this.keys = new Map()
    this.client = new Openid4vciClient({ callbacks: this.#callbacks() })
    this.oauth = new oauth2.Oauth2Client({ callbacks: this.#callbacks() })
    this.sealed = 0
  }

  async read(offer) {
    this.offer = await this.client.resolveCredentialOffer(offer)
    this.issuer = await this.client.resolveIssuerMetadata(this.offer.credential_issuer)
    this.dpop = { signer: await this.newSigner() }
  }

  async tradeCode(txCode) {
    this.#took(await this.client.retrievePreAuthorizedCodeAccessTokenFromOffer({
      credentialOffer: this.offer, issuerMetadata: this.issuer, txCode, dpop: this.dpop
    }))
  }

  async authorize({ redirectUri, scope }) {
    this.state = randomUUID()
    const begun = await this.client.initiateAuthorization({
      credentialOffer: this.offer, issuerMetadata: this.issuer, clientId: this.clientId, redirectUri, scope,
      dpop: this.dpop, state: this.state
    })
    this.redirectUri = redirectUri
    this.pkce = begun.pkce
    return begun.authorizationRequestUrl
  }

  async redirected(url) {
    const answer = this.client.parseAndVerifyAuthorizationResponseRedirectUrl({
      url, authorizationServerMetadata: this.issuer.authorizationServers[0]
    })
    if (answer.error) return answer
    this.#took(await this.client.retrieveAuthorizationCodeAccessTokenFromOffer({
      credentialOffer: this.offer, issuerMetadata: this.issuer, authorizationCode: answer.code,
      pkceCodeVerifier: this.pkce.codeVerifier, redirectUri: this.redirectUri, dpop: this.dpop
    }))
    return answer
  }

  async refresh() {
    this.#took(await this.oauth.retrieveRefreshTokenAccessToken({
      authorizationServerMetadata: this.issuer.authorizationServers[0],
      refreshToken: this.token.refresh_token, dpop: this.dpop
    }))
  }

  async credentials(configuration, count) {
    const { c_nonce: nonce } = await this.client.requestNonce({ issuerMetadata: this.issuer })
    this.holders = []
    const proofs = []
    for (let made = 0; made < count; made++) {
      const signer = await this.newSigner()
      this.holders.push(signer.publicJwk)
      const { jwt } = await this.client.createCredentialRequestJwtProof({
        issuerMetadata: this.issuer, credentialConfigurationId: configuration, nonce, signer,
        clientId: this.clientId
      })
      proofs.push(jwt)
    }
    const { credentialResponse } = await this.client.retrieveCredentials({
      issuerMetadata: this.issuer, credentialConfigurationId: configuration, proofs: { jwt: proofs },
      accessToken: this.token.access_token, dpop: this.dpop
    })
    return { ...credentialResponse, holders: this.holders, sealed: this.sealed }
  }

  async deferred(transactionId) {
    const answer = await this.client.retrieveDeferredCredentials({
      issuerMetadata: this.issuer, accessToken: this.token.access_token, transactionId, dpop: this.dpop
    })
    return { ...answer.deferredCredentialResponse, holders: this.holders, sealed: this.sealed }
  }

  async notify(notificationId, event) {
    const { response } = await this.client.sendNotification({
      issuerMetadata: this.issuer, accessToken: this.token.access_token, dpop: this.dpop,
      notification: { notificationId, event }
    })
    return response.status
  }

  async newSigner() {
    const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
    const publicJwk = await jose.exportJWK(publicKey)
    this.keys.set(publicJwk.x, privateKey)
    return { method: 'jwk', alg: 'ES256', publicJwk }
  }

  #took({ accessTokenResponse, dpop }) {
    this.token = { ...this.token, ...accessTokenResponse }
    this.dpop = dpop ?? this.dpop
  }

  #callbacks() {
    return {
      generateRandom: (length) => randomBytes(length),
      hash: (data, name) => createHash(name.replace('-', '')).update(data).digest(),
      clientAuthentication: this.clientId === undefined
        ? oauth2.clientAuthenticationAnonymous()
        : oauth2.clientAuthenticationNone({ clientId: this.clientId }),
      signJwt: async (signer, { header, payload }) => ({
        jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(this.keys.get(signer.publicJwk.x)),
        signerJwk: signer.publicJwk
      }),
      verifyJwt: () => { throw new Error('nothing is verified here') },
      encryptJwe: () => { throw new Error('the fetch below encrypts') },
      decryptJwe: () => { throw new Error('the fetch below decrypts') },
      fetch: (url, request) => this.#fetch(url, request)
    }
  }

  async #fetch(url, request) {
    const metadata = this.issuer?.credentialIssuer
    const sealedPlaces = [metadata?.credential_endpoint, metadata?.deferred_credential_endpoint]
    if (!this.encrypts || !sealedPlaces.includes(url.toString())) return fetch(url, request)
    const own = await jose.generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
    const jwk = { ...await jose.exportJWK(own.publicKey), alg: 'ECDH-ES', use: 'enc', kid: randomUUID() }
    const message = { ...JSON.parse(request.body), credential_response_encryption: { jwk, enc: 'A256GCM' } }
    const answer = await fetch(url, {
      ...request,
      headers: { ...request.headers, 'Content-Type': 'application/jwt' },
      body: await this.#seal(JSON.stringify(message), metadata.credential_request_encryption)
    })
    if (!answer.headers.get('content-type')?.startsWith('application/jwt')) return answer
    this.sealed += 1
    const { plaintext } = await jose.compactDecrypt(await answer.text(), own.privateKey)
    const headers = new Headers(answer.headers)
    headers.set('Content-Type', 'application/json')
    return new Response(plaintext, { status: answer.status, headers })
  }

  async #seal(text, { jwks, enc_values_supported: [enc] }) {
    const jwk = jwks.keys.find((key) => key.crv === this.curve)
    return new jose.CompactEncrypt(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: jwk.alg, enc, kid: jwk.kid, cty: 'json' })
      .encrypt(await jose.importJWK(jwk, jwk.alg))
  }
}
