import { createHash, randomBytes } from 'node:crypto'
import { serve } from '../serve.mjs'
import { Wallet } from './wallet.mjs'

const { Openid4vciClient, getCredentialConfigurationsMatchingRequestFormat } = await import('@openid4vc/openid4vci')
const oauth2 = await import('@openid4vc/oauth2')

// Serves the documents of one issuer, by URL, in the place of the network.
function client(documents) {
  return new Openid4vciClient({
    callbacks: {
      generateRandom: (length) => randomBytes(length),
      hash: (data, name) => createHash(name.replace('-', '')).update(data).digest(),
      clientAuthentication: oauth2.clientAuthenticationAnonymous?.() ?? (() => {}),
      signJwt: () => { throw new Error('nothing is signed here') },
      verifyJwt: () => { throw new Error('nothing is signed here') },
      encryptJwe: () => { throw new Error('nothing is encrypted here') },
      decryptJwe: () => { throw new Error('nothing is encrypted here') },
      fetch: async (url) => {
        const body = documents[url.toString()]
        const headers = { 'content-type': 'application/json' }
        return body === undefined
          ? new Response('', { status: 404 })
          : new Response(JSON.stringify(body), { status: 200, headers })
      }
    }
  })
}

let wallet // the one at work

await serve({
  begin: async ({ offer, ...kind }) => { wallet = new Wallet(kind); await wallet.read(offer) },
  tradeCode: ({ txCode }) => wallet.tradeCode(txCode ?? undefined),
  authorize: (given) => wallet.authorize(given),
  redirected: ({ url }) => wallet.redirected(url),
  refresh: () => wallet.refresh(),
  credentials: ({ configuration, count }) => wallet.credentials(configuration, count),
  deferred: ({ transactionId }) => wallet.deferred(transactionId),
  notify: ({ notificationId, event }) => wallet.notify(notificationId, event),
  offer: ({ uri, documents }) => client(documents).resolveCredentialOffer(uri),
  metadata: ({ issuer, documents }) => client(documents).resolveIssuerMetadata(issuer)
})
