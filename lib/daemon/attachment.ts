/** An attachment as daemons name it: in files, in messages, in what they are asked and store. */
import { createHash } from 'node:crypto'
import type { Attachment } from '../attachment.ts'
import { type Json, jsonObject, jsonString, memberOf, parseJson } from '../config/json.ts'
import { hex } from '../ip/mac.ts'

/** Names have no limit in the specification, file names have: 255 bytes, of which endings take some. */
const LONGEST_NAME = 200

/** The attachment as one text, and the name of its file. Long ones are hashed. */
export function attachmentKey(one: Attachment): string {
  const key = `${one.network}:${one.containerId}:${one.ifName}`
  if (key.length <= LONGEST_NAME) return key
  const bytes: Uint8Array = createHash('sha256').update(key).digest()
  return hex(bytes)
}

/** The attachment in messages. */
export function attachmentText(one: Attachment): string {
  return `${JSON.stringify(one.ifName)} of container ${JSON.stringify(one.containerId)} on network ${JSON.stringify(one.network)}`
}

export function isSameAttachment(a: Attachment, b: Attachment): boolean {
  return a.network === b.network && a.containerId === b.containerId && a.ifName === b.ifName
}

export function attachmentToJson(one: Attachment): Json {
  return jsonObject([
    ['network', jsonString(one.network)],
    ['containerId', jsonString(one.containerId)],
    ['ifName', jsonString(one.ifName)]
  ])
}

/** @returns undefined for a text that names none */
export function attachmentFromText(text: string): Attachment | undefined {
  try {
    const json = parseJson(text)
    const one = {
      network: memberOf(json, 'network')?.text ?? '',
      containerId: memberOf(json, 'containerId')?.text ?? '',
      ifName: memberOf(json, 'ifName')?.text ?? ''
    }
    return one.network === '' || one.containerId === '' || one.ifName === '' ? undefined : one
  } catch {
    return undefined
  }
}
