/** VERSION, and what happens in each version. */
import type { Case, Context } from '../case.ts'
import { errorCode, printed, succeeded } from '../plugin-call.ts'
import { atLeast, isVersion, VERSIONS, type Version } from '../versions.ts'

function reply(context: Context, stdin: string, env: Record<string, string | undefined> = {}) {
  return context.call('VERSION', context.attachment(), { stdin, env })
}

const NOTHING = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }

export const VERSION_CASES: readonly Case[] = [
  {
    id: 'version-reply',
    title: 'what VERSION prints',
    part: 'protocol',
    clauses: ['version.reply', 'version.echo', 'version.unknown', 'version.no-configuration'],
    run: context => {
      const outcome = reply(context, '{"cniVersion":"1.0.0"}', NOTHING)
      const body = printed(outcome)
      const list = body?.['supportedVersions']
      const texts = Array.isArray(list) && list.length > 0 && list.every(one => typeof one === 'string')
      const version = body?.['cniVersion']
      const holds = succeeded(outcome) && texts && typeof version === 'string'
      context.judgeOutcome('version.reply', holds, 'cniVersion and a list supportedVersions', outcome)
      for (const asked of context.versions().filter(one => atLeast(one, '1.0.0'))) {
        const echoed = reply(context, JSON.stringify({ cniVersion: asked }), NOTHING)
        const expected = `VERSION asked in ${asked} answers in ${asked}`
        context.judgeOutcome('version.echo', printed(echoed)?.['cniVersion'] === asked, expected, echoed)
      }
      for (const cniVersion of ['0.0.1', '1.9.0', '7.0.0']) {
        const unknown = reply(context, JSON.stringify({ cniVersion }), NOTHING)
        const told = succeeded(unknown) && Array.isArray(printed(unknown)?.['supportedVersions'])
        context.judgeOutcome('version.unknown', told, `VERSION asked in ${cniVersion} is answered`, unknown)
      }
      const odd = { CNI_CONTAINERID: '-', CNI_NETNS: '/nowhere', CNI_IFNAME: 'dummy', CNI_ARGS: 'x' }
      const podman = reply(context, '{"cniVersion":"1.0.0"}', odd)
      context.judgeOutcome(
        'version.no-configuration',
        succeeded(podman),
        'VERSION succeeds among odd variables',
        podman
      )
    }
  },
  {
    id: 'version-unsupported',
    title: 'configurations in versions that are not supported',
    part: 'protocol',
    clauses: ['version.unsupported', 'version.unsupported-details'],
    run: context => {
      const old = VERSIONS.filter(
        version => !context.listedVersions().includes(version) && !atLeast(version, context.newest())
      )
      for (const cniVersion of ['9.0.0', '0.3.9', '1.0', ...old]) {
        const outcome = context.call('ADD', context.attachment(), { config: { cniVersion } })
        const code = errorCode(outcome)
        // What is no version of the form x.y.z may also be called undecodable.
        const holds = !succeeded(outcome) && (code === 1 || (cniVersion === '1.0' && code === 6))
        context.judgeOutcome('version.unsupported', holds, `ADD in version ${cniVersion} fails with code 1`, outcome)
        if (cniVersion !== '9.0.0') continue
        const told = outcome.stdout.includes(context.newest())
        context.judgeOutcome('version.unsupported-details', told, `the error names ${context.newest()}`, outcome)
      }
    }
  },
  {
    id: 'version-add-in-each',
    title: 'ADD and DEL in every version that is listed',
    part: 'protocol',
    clauses: ['version.all-work', 'version.default'],
    run: context => {
      context.requireKernel()
      for (const version of context.versions()) {
        const attachment = context.attachment()
        const add = context.call('ADD', attachment, { version })
        context.judgeOutcome('version.all-work', succeeded(add), `ADD in ${version} succeeds`, add)
        const del = context.call('DEL', attachment, { version })
        context.judgeOutcome('version.all-work', succeeded(del), `DEL in ${version} succeeds`, del)
      }
      if (!context.versions().includes('0.1.0')) return
      const attachment = context.attachment()
      const add = context.call('ADD', attachment, { version: '0.1.0', config: { cniVersion: undefined } })
      const legacy = succeeded(add) && printed(add)?.['ips'] === undefined
      context.judgeOutcome('version.default', legacy, 'ADD without cniVersion answers as in 0.1.0', add)
    }
  },
  {
    id: 'version-verb-too-new',
    title: 'verbs in versions that did not have them yet',
    part: 'protocol',
    clauses: ['version.verb-too-new'],
    run: context => {
      const gates: readonly (readonly [string, Version])[] = [
        ['CHECK', '0.4.0'],
        ['STATUS', '1.1.0'],
        ['GC', '1.1.0']
      ]
      for (const [verb, first] of gates) {
        // A set that does not know the verb at all fails otherwise.
        if (!context.supports(first)) continue
        const older = context
          .versions()
          .filter(version => !atLeast(version, first))
          .at(-1)
        if (older === undefined || !isVersion(older)) continue
        const outcome = context.call(verb, context.attachment(), { version: older })
        const holds = !succeeded(outcome) && errorCode(outcome) === 1
        context.judgeOutcome('version.verb-too-new', holds, `${verb} in ${older} fails with code 1`, outcome)
      }
    }
  }
]
