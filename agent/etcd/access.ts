/**
 * What a host shows to etcd: certificates and a password. They are files, read again for every connection, since they are
 * renewed while the agent runs.
 */
import { readFileSync, statSync } from 'node:fs'
import { type ConnectionOptions, connect } from 'node:tls'
import { fileError } from '../../lib/sys/files.ts'

/** Paths; '' = none. */
export interface AccessFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly username: string
  readonly passwordFile: string
}

/** For an etcd that is open to everybody. */
export const NO_ACCESS: AccessFiles = { ca: '', cert: '', key: '', username: '', passwordFile: '' }

export interface TlsContent {
  readonly ca: Buffer | null
  readonly cert: Buffer | null
  readonly key: Buffer | null
}

/** How long a peer may take to say why it does not like a certificate. */
const VERDICT_MS = 1000

/** @throws {SysError} naming the file that cannot be read */
export function readTls(files: AccessFiles): TlsContent {
  return { ca: contentOf(files.ca), cert: contentOf(files.cert), key: contentOf(files.key) }
}

/** undefined without a user. @throws {SysError} naming the file */
export function readUser(files: AccessFiles): { readonly name: string; readonly password: string } | undefined {
  if (files.username === '') return undefined
  return { name: files.username, password: String(contentOf(files.passwordFile) ?? '').trimEnd() }
}

function contentOf(path: string): Buffer | null {
  if (path === '') return null
  try {
    return readFileSync(path)
  } catch (error) {
    throw fileError('read', path, error)
  }
}

/** Differs when one of the files has been replaced or written to. */
export function versionOf(files: AccessFiles): string {
  return [files.ca, files.cert, files.key, files.passwordFile].map(stamp).join(' ')
}

function stamp(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path)
    return `${ino}:${size}:${mtimeMs}:${ctimeMs}`
  } catch {
    return '-'
  }
}

/**
 * Why an https endpoint does not let us in: gRPC tells only that the connection was closed, since in TLS 1.3 the server
 * judges a client's certificate after the client takes the handshake for done.
 *
 * @returns '' when it does, or for a reason beyond TLS
 */
export async function tlsReason(url: string, files: AccessFiles): Promise<string> {
  const { protocol, hostname, port } = new URL(url)
  if (protocol !== 'https:') return ''
  try {
    const own = await ownReason(url, files)
    if (own !== '') return own
    const { ca, cert, key } = readTls(files)
    const trusted = ca === null ? {} : { ca }
    const shown = cert === null || key === null ? {} : { cert, key }
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    return await verdictOf({ host, port: Number(port || '443'), ALPNProtocols: ['h2'], ...trusted, ...shown })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Why nobody would let us in with our certificate, without asking. @returns '' for no reason */
export async function ownReason(url: string, files: AccessFiles): Promise<string> {
  if (new URL(url).protocol !== 'https:') return ''
  const { cert } = readTls(files)
  return cert === null ? '' : await validityOf(files.cert, cert)
}

async function validityOf(path: string, content: Buffer): Promise<string> {
  const { X509Certificate } = await import('node:crypto')
  const { validFromDate, validToDate } = new X509Certificate(content)
  if (validToDate.getTime() < Date.now()) return `certificate ${path} was valid until ${validToDate.toISOString()}`
  if (validFromDate.getTime() > Date.now()) return `certificate ${path} is valid from ${validFromDate.toISOString()} on`
  return ''
}

function verdictOf(options: ConnectionOptions): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect(options)
  const timer = setTimeout(() => resolve(''), VERDICT_MS)
  socket.on('error', (error: Error & { readonly code?: string }) => {
    const isTls = !/^E[A-Z]+$/.test(error.code ?? '')
    resolve(isTls ? error.message.trim() : '')
  })
  socket.on('close', () => resolve(''))
  socket.resume()
  return promise.finally(() => {
    clearTimeout(timer)
    socket.destroy()
  })
}
