// Another wallet's side of transfers, written from docs/reference/transfer-messages.md and from the drafts. What
// an offer leads to is left to a library: @openid4vc/openid4vci or @sphereon/oid4vci-client.
import { randomBytes } from 'node:crypto'
import { openDraft, openMessage, sealDraft } from '../messages.mjs'
import { serve } from '../serve.mjs'
import { Mailbox, draftLink, readLink } from './mailbox.mjs'

const uriOf = (offer) => `openid-credential-offer://?credential_offer=${encodeURIComponent(JSON.stringify(offer))}`

const LIBRARIES = {
  openid4vc: async (offer) => {
    const { Wallet } = await import('../oid4vc/wallet.mjs')
    const wallet = new Wallet({})
    await wallet.read(offer)
    return {
      tradeCode: (pin) => wallet.tradeCode(pin),
      credential: async (configuration) => {
        const { credentials, holders, notification_id: notificationId } = await wallet.credentials(configuration, 1)
        return { credential: credentials[0].credential, holder: holders[0], notificationId }
      },
      notify: (id) => wallet.notify(id, 'credential_accepted') // the status of the answer
    }
  },
  sphereon: async (offer) => (await import('./sphereon.mjs')).openSphereon(offer)
}

let mailbox // the one at work
let wallet
let offered

await serve({
  // proves: whether the claim is made with the secret.
  async openLink({ link, proves = true }) {
    const { url, secret, suffix } = readLink(link)
    mailbox = new Mailbox(url)
    const { payload, displayInformation } = await mailbox.read(proves ? secret : undefined)
    if (payload.type !== 'SCT2_AES_256_GCM') throw new Error('payload of another type')
    const { version, n, text } = openMessage(secret, 's2r', payload.data)
    const { format, content } = JSON.parse(text)
    offered = content.credential_offer
    return { suffix, version, n, size: text.length, format, share: content.share, offer: offered, displayInformation }
  },

  async openDraftLink({ link }) {
    const { url, secret, suffix } = readLink(link)
    mailbox = new Mailbox(url)
    const { payload } = await mailbox.read()
    const { format, content } = JSON.parse(openDraft(secret, payload))
    offered = content.credential_offer
    return { suffix, type: payload.type, format, offer: offered }
  },

  async shareDraft({ relay, offer, title, rights = 'RD', bytes = 16 }) {
    const secret = randomBytes(bytes)
    const text = JSON.stringify({ format: 'openid4vci.credential_offer', content: { credential_offer: offer } })
    mailbox = await Mailbox.create(relay, { payload: sealDraft(secret, text), title, rights, seconds: 3600 })
    return { link: draftLink(mailbox, secret) }
  },

  async read() {
    return mailbox.read()
  },

  async begin({ library }) {
    wallet = await LIBRARIES[library](uriOf(offered))
  },

  async redeem({ txCode }) {
    await wallet.tradeCode(txCode ?? undefined)
    return wallet.credential(offered.credential_configuration_ids[0])
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
  delete: () => mailbox.delete()
})
