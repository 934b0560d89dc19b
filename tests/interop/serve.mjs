// Answers requests, one JSON object a line: {"operation", ...arguments} gets {"value"} or {"refused"}.
import { createInterface } from 'node:readline'
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto // Node.js 18 has it, but not there

export async function serve(operations) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { operation, ...given } = JSON.parse(line)
    let answer
    try {
      answer = { value: (await operations[operation](given)) ?? null }
    } catch (error) {
      answer = { refused: `${error.name}: ${error.message}` }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
}
