/** Doing many things, a few at a time. */

/** Does `work` with every item in their order, `atOnce` at a time. The first error that `work` throws ends it. */
export async function inPool<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  const worker = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
