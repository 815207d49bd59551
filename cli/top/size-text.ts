/** In 1024s: `1.5Ki` */
export function sizeText(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return unit === 0 ? String(value) : `${value.toFixed(value < 10 ? 1 : 0)}${units[unit] ?? ''}`
}
