/** The part of a Markdown file that belongs to the benchmark. */

const BEGIN = '<!-- results: written by npm run bench -- --markdown FILE -->\n'
const END = '<!-- end of results -->\n'

/** Puts the results between their marks when the file has them; else the results are the file. */
export function withResults(file: string, results: string): string {
  const [from, to] = [file.indexOf(BEGIN), file.indexOf(END)]
  if (from < 0 || to < from) return results
  return `${file.slice(0, from + BEGIN.length)}\n${results}\n${file.slice(to)}`
}
