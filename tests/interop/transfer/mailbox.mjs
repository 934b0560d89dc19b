// One party of a mailbox, as draft-vinokurov-tigress-http-00 has it, and the links of either kind.
import { randomUUID } from 'node:crypto'
import { claimProof } from '../messages.mjs'

export class Mailbox {
  constructor(url) {
    this.url = url
    this.claim = randomUUID()
  }

  // rights: of both parties.
  static async create(relay, { payload, title, rights, seconds }) {
    const mailbox = new Mailbox()
    const expiration = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+/, '')
    const { urlLink } = await mailbox.#ask('POST', `${relay}/v1/m`, {
      payload,
      displayInformation: { title, description: 'Shared with you', imageURL: 'https://pictures.example/key.png' },
      mailboxConfiguration: { accessRights: rights, expiration }
    })
    mailbox.url = urlLink
    return mailbox
  }

  // secret: with which the proof of a claim is made; the drafts have none.
  read(secret) {
    const id = this.url.split('/').at(-1)
    return this.#ask('POST', this.url, undefined, {
      ...(secret && { 'Mailbox-Claim-Proof': claimProof(secret, id, this.claim) })
    })
  }

  update(payload) {
    return this.#ask('PUT', this.url, { payload }, {})
  }

  delete() {
    return this.#ask('DELETE', this.url, undefined, {})
  }

  async #ask(method, url, body, more = {}) {
    const headers = { 'Mailbox-Device-Claim': this.claim, 'Mailbox-Request-ID': randomUUID(), ...more }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${answer.status} ${text && JSON.parse(text).code}`)
    return text ? JSON.parse(text) : {}
  }
}

export function readLink(text) {
  const link = new URL(text)
  const [secret, suffix] = link.hash.slice(1).split('.')
  link.hash = link.search = ''
  return { url: link.href, secret: Buffer.from(secret, 'base64url'), suffix }
}

export const draftLink = (mailbox, secret) => `${mailbox.url}?v=a#${secret.toString('base64')}`
