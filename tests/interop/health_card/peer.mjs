import { readFile } from 'node:fs/promises'
import { serve } from '../serve.mjs'

const { Directory, SHCIssuer, SHCReader } = await import('kill-the-clipboard')
const { StatusList, createHeaderAndPayload, getListFromStatusListJWT } = await import('@sd-jwt/jwt-status-list')

console.warn = console.debug = () => {}

let reader

// What kind of carrier a reader takes: a JWS, the digits of a QR code, or the content of a file.
const readers = {
  jws: (card) => reader.fromJWS(card),
  qr: (card) => reader.fromQRNumeric(card),
  file: (card) => reader.fromFileContent(card)
}

function use(issuerDirectory) {
  reader = new SHCReader({ issuerDirectory, enableQROptimization: false, verifyExpiration: true })
  return [...issuerDirectory.getIssuers().values()].map((issuer) =>
    [...issuer.crls.values()].reduce((sum, list) => sum + list.rids.size, 0))
}

const microseconds = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

await serve({
  // Fetches keys and lists of issuers over HTTPS; gives how many rids each has.
  fetch: async ({ urls }) => use(await Directory.fromURLs(urls)),

  // The same from a file with a directory.
  load: async ({ path }) => use(Directory.fromJSON(JSON.parse(await readFile(path, 'utf8')))),

  read: async ({ kind, card }) => (await readers[kind](card)).asBundle({ optimizeForQR: false }),

  issue: async ({ issuer, key, bundle, rid, now }) => {
    const { d, ...publicKey } = key
    const shc = new SHCIssuer({ issuer, privateKey: key, publicKey, enableQROptimization: false })
    const card = await shc.issue(bundle, rid === null ? {} : { rid })
    return { jws: card.asJWS(), qr: card.asQRNumeric(), file: await card.asFileContent() }
  },

  // CPU time for one card of several, each read so many times, in microseconds.
  time: async ({ kind, cards, times }) => {
    const start = microseconds()
    for (let turn = 0; turn < times; turn++) await readers[kind](cards[turn % cards.length])
    return (microseconds() - start) / times
  },

  statuses: ({ token, indexes }) => {
    const list = getListFromStatusListJWT(token)
    return { bits: list.getBitsPerStatus(), statuses: indexes.map((index) => list.getStatus(index)) }
  },

  statusClaims: ({ statuses, bits, claims }) =>
    createHeaderAndPayload(new StatusList(statuses, bits), claims, { alg: 'ES256', typ: 'statuslist+jwt' })
})
