/** One command as it was given: the values of its options and arguments, and where its answer goes. */
import type { Output } from './output.ts'
import { type Place, placeOf } from './place.ts'

/** By the option's long name. Switches are true or absent. */
export type OptionValues = ReadonlyMap<string, true | string | readonly string[]>

export class Call {
  /** The arguments in their order; an optional one that is missing is absent, those of the last may be several. */
  readonly words: readonly string[]
  readonly output: Output
  readonly #values: OptionValues
  readonly #known: ReadonlySet<string>

  constructor(words: readonly string[], values: OptionValues, known: ReadonlySet<string>, output: Output) {
    this.words = words
    this.output = output
    this.#values = values
    this.#known = known
  }

  /** The same call, with its answers elsewhere. */
  writingTo(output: Output): Call {
    return new Call(this.words, this.#values, this.#known, output)
  }

  /** An argument that the table requires. */
  word(index: number): string {
    const word = this.words[index]
    if (word === undefined) throw new Error(`argument ${String(index)} is not required by the table of commands`)
    return word
  }

  has(option: string): boolean {
    return this.#value(option) !== undefined
  }

  text(option: string): string | undefined {
    const value = this.#value(option)
    return typeof value === 'string' ? value : undefined
  }

  /** The values of an option that may be repeated, in the order given. */
  texts(option: string): readonly string[] {
    const value = this.#value(option)
    if (value === undefined || value === true) return []
    return typeof value === 'string' ? [value] : value
  }

  get asJson(): boolean {
    return this.has('json')
  }

  /** The directories; a command takes as many of the options as it has use for. */
  get place(): Place {
    const given = (option: string): boolean => this.#known.has(option) && this.has(option)
    return placeOf({
      'conf-dir': given('conf-dir') ? this.text('conf-dir') : undefined,
      'bin-dir': given('bin-dir') ? this.texts('bin-dir') : undefined,
      'cache-dir': given('cache-dir') ? this.text('cache-dir') : undefined
    })
  }

  /** Where `run` keeps its containers. */
  get runDir(): string {
    return (this.#known.has('run-dir') ? this.text('run-dir') : undefined) ?? '/run/patchbay/containers'
  }

  /** Asking for an option that the table does not give the command is a mistake of ours, which no test must miss. */
  #value(option: string): true | string | readonly string[] | undefined {
    if (!this.#known.has(option)) throw new Error(`the table of commands has no --${option} here`)
    return this.#values.get(option)
  }
}
