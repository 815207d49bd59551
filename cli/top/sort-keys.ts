/** Columns that `patchbay top` sorts by; the table of commands names them. */
export const SORT_KEYS = ['name', 'network', 'rx', 'tx', 'packets', 'drops', 'connections'] as const
export type SortKey = (typeof SORT_KEYS)[number]
