/**
 * This host's key pair (X25519). The private key never leaves the host: it is a file of root's, on disk, so that the host is the
 * same to all others after a reboot.
 *
 * @source RFC 7748; RFC 8410 section 7, the DER of a private key
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { CniError, NOT_AVAILABLE } from '../../lib/cni/error.ts'
import { createExclusive, ensureDirectory, readText } from '../../lib/sys/files.ts'

/** bytes */
const KEY_LENGTH = 32
/** PrivateKeyInfo of X25519 up to the key's own bytes. */
const DER_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const OTHERS = 0o077

export interface KeyPair {
  readonly privateKey: Uint8Array
  /** As `wg` writes keys: base64 */
  readonly publicKey: string
}

/**
 * The key pair of a directory, made when there is none.
 *
 * @throws {CniError} code 50 when others may read the private key, or the file holds none
 * @throws {SysError} when the directory cannot be written to
 */
export function loadKeyPair(directory: string): KeyPair {
  const path = join(directory, 'private.key')
  ensureDirectory(directory, 0o700)
  if (readText(path) === undefined) createExclusive(path, `${newPrivateKey()}\n`, 0o600)
  if ((statSync(path).mode & OTHERS) !== 0) {
    const advice = `chmod 600 ${path}; whoever may have read it can be this host: then remove it, and a new key is made`
    throw new CniError(NOT_AVAILABLE, `use private key ${JSON.stringify(path)}: others may read it`, advice)
  }
  const privateKey = keyBytes((readText(path) ?? '').trim())
  if (privateKey === undefined) {
    const advice = 'it holds 32 bytes in base64, as wg genkey writes them; removed, a new one is made'
    throw new CniError(NOT_AVAILABLE, `use private key ${JSON.stringify(path)}: it is none`, advice)
  }
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

/** The bytes of a key in base64; undefined when the text is none, or not in the one form that it can have. */
export function keyBytes(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === KEY_LENGTH && bytes.toString('base64') === text ? Uint8Array.from(bytes) : undefined
}

function newPrivateKey(): string {
  const der = generateKeyPairSync('x25519').privateKey.export({ format: 'der', type: 'pkcs8' })
  return der.subarray(-KEY_LENGTH).toString('base64')
}

function publicKeyOf(privateKey: Uint8Array): string {
  const der = Buffer.concat([DER_PREFIX, privateKey])
  const key: KeyObject = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  return key.export({ format: 'der', type: 'spki' }).subarray(-KEY_LENGTH).toString('base64')
}
