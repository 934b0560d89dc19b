// A wallet made of the unmodified client of @sphereon/oid4vci-client, with npm `jose` for keys. The client speaks
// of one `proof`, as drafts of OpenID4VCI did, so the request for the credential is made of its parts. It encrypts
// nothing, and its notifications have no DPoP proof.
import {
  CredentialRequestClientBuilderV1_0_15, OpenID4VCIClientV1_0_15, ProofOfPossessionBuilder
} from '@sphereon/oid4vci-client'
import * as jose from 'jose'

const sign = async ({ header, payload }, key) => new jose.SignJWT(payload).setProtectedHeader(header).sign(key)

async function newKey() {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
  return { jwk: await jose.exportJWK(publicKey), privateKey }
}

export async function openSphereon(offer) {
  const client = await OpenID4VCIClientV1_0_15.fromURI({ uri: offer })
  const { jwk, privateKey } = await newKey()
  const dpop = () => ({
    jwtIssuer: { alg: 'ES256', jwk },
    jwtPayloadProps: {},
    dPoPSigningAlgValuesSupported: ['ES256'],
    createJwtCallback: (_issuer, jwt) => sign(jwt, privateKey)
  })
  return {
    tradeCode: (pin) => client.acquireAccessToken({ pin, createDPoPOpts: dpop() }),
    whole: async () => {
      const key = await newKey()
      return client.acquireCredentials({
        proofCallbacks: { signCallback: (jwt) => sign(jwt, key.privateKey) },
        jwk: key.jwk,
        alg: 'ES256',
        createDPoPOpts: dpop()
      })
    },
    credential: async (configuration, fixed) => {
      const key = fixed ?? await newKey()
      const proof = await new ProofOfPossessionBuilder({
        callbacks: { signCallback: (jwt) => sign(jwt, key.privateKey) }
      }).withIssuer(client.getIssuer()).withAlg('ES256').withJWK(key.jwk)
        .withAccessTokenNonce(await client.acquireNonce()).build()
      const requests = CredentialRequestClientBuilderV1_0_15
        .fromCredentialOffer({ credentialOffer: client.credentialOffer, metadata: client.endpointMetadata })
        .withTokenFromResponse(client.accessTokenResponse).build()
      const { successBody, errorBody } = await requests.acquireCredentialsUsingRequest(
        { credential_configuration_id: configuration, proofs: { jwt: [proof.jwt] } }, 'dc+sd-jwt', dpop()
      )
      if (!successBody) throw new Error(errorBody.error)
      const { credentials: [{ credential }], notification_id: notificationId } = successBody
      return { credential, holder: key.jwk, notificationId }
    },
    notify: async (id) => {
      const { error, response } = await client.sendNotification(
        { notificationEndpoint: client.endpointMetadata.notification_endpoint },
        { notification_id: id, event: 'credential_accepted' }
      )
      if (error) throw new Error(response.error)
    }
  }
}
