import { serve } from '../serve.mjs'

const { default: ogs } = await import('open-graph-scraper')
const { unfurl } = await import('unfurl.js')

await serve({
  async 'open-graph-scraper' ({ url }) {
    const { error, result } = await ogs({ url, urlValidatorSettings: { require_tld: false } })
    if (error) throw new Error(result.error)
    return {
      title: result.ogTitle,
      description: result.ogDescription,
      image: result.ogImage?.[0]?.url,
      url: result.ogUrl
    }
  },

  async 'unfurl.js' ({ url }) {
    const { open_graph: graph } = await unfurl(url, { oembed: false })
    return {
      title: graph.title,
      description: graph.description,
      image: graph.images?.[0]?.url,
      url: graph.url
    }
  }
})
