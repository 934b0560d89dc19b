// Another wallet's side of transfers, written from docs/reference/transfer-messages.md and from the drafts. What
// an offer leads to is left to a library: @openid4vc/openid4vci or @sphereon/oid4vci-client.
import { randomBytes } from 'node:crypto'
import { openDraft, openMessage, sealDraft, sealMessage } from '../messages.mjs'
import { serve } from '../serve.mjs'
import { Mailbox, draftLink, readLink } from './mailbox.mjs'

const { Receiver } = await import('./receiver.mjs') // after serve.mjs, which puts in place what @hpke/core wants

const OFFER = 'openid4vci.credential_offer'
const uriOf = (offer) => `openid-credential-offer://?credential_offer=${encodeURIComponent(JSON.stringify(offer))}`

// By name: from an offer's URI to a wallet. `credential` takes the key to be certified, if that is fixed.
const LIBRARIES = {
  openid4vc: async (offer) => {
    const { Wallet } = await import('../oid4vc/wallet.mjs')
    const wallet = new Wallet({})
    await wallet.read(offer)
    return {
      tradeCode: (pin) => wallet.tradeCode(pin),
      credential: async (configuration, fixed) => {
        if (fixed) {
          wallet.keys.set(fixed.jwk.x, fixed.privateKey)
          wallet.newSigner = async () => ({ method: 'jwk', alg: 'ES256', publicJwk: fixed.jwk })
        }
        const { credentials, holders, notification_id: notificationId } = await wallet.credentials(configuration, 1)
        return { credential: credentials[0].credential, holder: holders[0], notificationId }
      },
      notify: (id) => wallet.notify(id, 'credential_accepted') // the status of the answer
    }
  },
  sphereon: async (offer) => (await import('./sphereon.mjs')).openSphereon(offer)
}

// What is at work.
let mailbox
let link
let received // the number of the last message
let receiver
let offered
let wallet

async function next(proves) {
  const { payload } = await mailbox.read(proves ? link.secret : undefined)
  if (payload.type !== 'SCT2_AES_256_GCM') throw new Error('payload of another type')
  const { version, n, text } = openMessage(link.secret, 's2r', payload.data)
  if (version !== 2 || n <= received) throw new Error('not the next message')
  received = n
  return { text, message: JSON.parse(text) }
}

function opened(text, proves = true) {
  link = readLink(text)
  mailbox = new Mailbox(link.url)
  received = 0
  return next(proves)
}

const noted = ({ format, content }) => {
  if (format !== OFFER) throw new Error('no offer')
  offered = content.credential_offer
  return { offer: offered, share: content.share }
}

await serve({
  // proves: whether the claim is made with the secret.
  async openLink({ link: given, proves }) {
    const { text, message } = await opened(given, proves)
    return { ...noted(message), suffix: link.suffix, n: received, size: text.length }
  },

  async openDraftLink({ link: given }) {
    link = readLink(given)
    mailbox = new Mailbox(link.url)
    const { payload } = await mailbox.read()
    return { ...noted(JSON.parse(openDraft(link.secret, payload))), suffix: link.suffix, type: payload.type }
  },

  // bytes: of the secret.
  async shareDraft({ relay, offer, title, bytes }) {
    const secret = randomBytes(bytes)
    const text = JSON.stringify({ format: OFFER, content: { credential_offer: offer } })
    mailbox = await Mailbox.create(relay, { payload: sealDraft(secret, text), title, rights: 'RD', seconds: 3600 })
    return draftLink(mailbox, secret)
  },

  async answer({ link: given }) {
    const { message } = await opened(given)
    receiver = await Receiver.make()
    const text = JSON.stringify(receiver.answer(message)).padEnd(512)
    await mailbox.update({ type: 'SCT2_AES_256_GCM', data: sealMessage(link.secret, 'r2s', 1, text) })
    return link.suffix
  },

  async digits() {
    return receiver.compare(link.secret, (await next()).message)
  },

  async openReleased() {
    return noted(await receiver.open(link.secret, (await next()).message, { confirmed: true }))
  },

  async card({ name }) {
    receiver = await Receiver.make()
    return receiver.card(name)
  },

  async openAddressed({ link: given }) {
    const { message } = await opened(given)
    return { ...noted(await receiver.open(link.secret, message, { confirmed: false })), suffix: link.suffix }
  },

  async openFile({ text }) {
    return noted(await receiver.openFile(text))
  },

  async begin({ library }) {
    wallet = await LIBRARIES[library](uriOf(offered))
  },

  async redeem({ txCode }) {
    await wallet.tradeCode(txCode ?? undefined)
    return wallet.credential(offered.credential_configuration_ids[0])
  },

  // For the key of the approval or the card.
  async redeemBound() {
    return wallet.credential(offered.credential_configuration_ids[0], receiver.proof)
  },

  async redeemWhole() {
    await wallet.tradeCode()
    return wallet.whole()
  },

  async redeemAndNotify() {
    await wallet.tradeCode()
    const { notificationId } = await wallet.credential(offered.credential_configuration_ids[0])
    return wallet.notify(notificationId)
  },

  notify: ({ id }) => wallet.notify(id),
  read: () => mailbox.read(),
  delete: () => mailbox.delete()
})
