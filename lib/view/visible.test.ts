import { assert, suite } from '../testing/suite.ts'
import { containerIn } from './find-namespaces.ts'
import { visible } from './visible.ts'

const test = suite('lib/view: texts of others')

test('what a terminal would obey is written out', () => {
  assert.is(visible('\x1b[2J\x07'), '\\u{1b}[2J\\u{7}')
  assert.is(visible('a\x9b31mb'), 'a\\u{9b}31mb', 'the one-byte CSI')
  assert.is(visible('eth\n0\r\t\0\x7f'), 'eth\\u{a}0\\u{d}\\u{9}\\u{0}\\u{7f}')
})

test('what a person could not see is written out', () => {
  assert.is(visible('\u202e0hte\u2066\u200b\ufeff'), '\\u{202e}0hte\\u{2066}\\u{200b}\\u{feff}')
  assert.is(visible('a\u2028b\u3164'), 'a\\u{2028}b\\u{3164}')
  assert.is(visible(`${String.fromCharCode(0xd800)}\u{f0000}`), '\\u{d800}\\u{f0000}', 'half a pair, private use')
})

test('names in any script stay as they are', () => {
  for (const name of ['eth0', 'größe', 'コンテナ', 'контейнер', 'web🙂', 'a<b>&\'"']) assert.is(visible(name), name)
})

test('a tower of marks is cut down to two', () => {
  assert.is(visible(`a${'\u0300'.repeat(50)}b`), 'a\u0300\u0300b')
})

const ID = '4f5c'.repeat(16)

test('a cgroup tells runtime and container', () => {
  const cases: readonly (readonly [string, string])[] = [
    [`0::/system.slice/docker-${ID}.scope`, 'docker'],
    [`12:memory:/docker/${ID}\n0::/`, 'docker'],
    [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`, 'containerd'],
    [`0::/kubepods/besteffort/pod1/cri-containerd:${ID}`, 'containerd'],
    [`0::/kubepods.slice/crio-${ID}.scope/container`, 'cri-o'],
    [`0::/machine.slice/libpod-${ID}.scope/container`, 'podman'],
    [`0::/system.slice/nerdctl-${ID}.scope`, 'containerd'],
    [`0::/kubepods/burstable/pod1/${ID}\n`, '']
  ]
  for (const [cgroup, runtime] of cases) assert.equal(containerIn(cgroup), { runtime, containerId: ID }, cgroup)
  assert.equal(containerIn('0::/user.slice/user-0.slice/session-1.scope'), { runtime: '', containerId: '' })
})

test.run()
