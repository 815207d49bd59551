/** Containers below a bridge, drawn with letters: each cable leaves the bridge where it meets its container's box. */

export interface DrawnContainer {
  /** What stands in its box, a line each. */
  readonly lines: readonly string[]
  /** The host's end of its cable. */
  readonly hostEnd: string
}

const GAP = 4

/**
 * @param bridge what stands in the bridge's box, a line each
 * @returns lines of equal columns, without indentation
 */
export function picture(bridge: readonly string[], containers: readonly DrawnContainer[]): readonly string[] {
  const boxes: {
    readonly left: number
    readonly width: number
    readonly cable: number
    readonly of: DrawnContainer
  }[] = []
  let left = 0
  for (const of of containers) {
    // The cable's name stands at its right, and must end before the next box begins.
    const needed = Math.max(...of.lines.map(line => line.length)) + 4
    const width = Math.max(needed, of.hostEnd.length + 4)
    boxes.push({ left, width, cable: left + Math.floor(width / 3), of })
    left += width + GAP
  }
  const total = left - GAP
  const corners = (middle: string, cells: readonly number[]): string => edge(total, middle, cells)
  const rows = Math.max(...containers.map(one => one.lines.length))
  return [
    `┌${'─'.repeat(total - 2)}┐`,
    ...bridge.map(text => `│${centred(text, total - 2)}│`),
    corners(
      '┬',
      boxes.map(box => box.cable)
    ),
    across(boxes.map(box => [box.cable, `│ ${box.of.hostEnd}`])),
    across(boxes.map(box => [box.left, topOf(box.width, box.cable - box.left)])),
    ...Array.from({ length: rows }, (_none, row) =>
      across(boxes.map(box => [box.left, `│${centred(box.of.lines[row] ?? '', box.width - 2)}│`]))
    ),
    across(boxes.map(box => [box.left, `└${'─'.repeat(box.width - 2)}┘`]))
  ]
}

function edge(total: number, joint: string, columns: readonly number[]): string {
  const line = Array.from(`└${'─'.repeat(total - 2)}┘`)
  for (const column of columns) line[column] = joint
  return line.join('')
}

function topOf(width: number, cable: number): string {
  const line = Array.from(`┌${'─'.repeat(width - 2)}┐`)
  line[cable] = '┴'
  return line.join('')
}

/** Texts, each at its column. */
function across(parts: readonly (readonly [number, string])[]): string {
  return parts.reduce((line, [column, text]) => line.padEnd(column) + text, '')
}

function centred(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2)
  return ' '.repeat(left) + text + ' '.repeat(width - text.length - left)
}
