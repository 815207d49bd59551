import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { ROOT } from '../project.ts'
import { hasHeading, released, versionProblems } from './version.ts'

const test = suite('build/release: version')

test('every place names the version of package.json, and the changelog has it', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  assert.equal(versionProblems(version), [])
  const others = versionProblems('9.9.9').map(problem => problem.split(':')[0])
  assert.equal(
    [...new Set(others)].filter(file => file !== 'CHANGELOG.md'),
    [
      'package.json',
      'package-lock.json',
      'lib/cni/version.ts',
      'deploy/kubernetes/overlay.yaml',
      'deploy/kubernetes/pod-cidr.yaml'
    ]
  )
})

test('what is not released gets its heading; what was stays', () => {
  const before = '# Changelog\n\n## Unreleased\n\n- new\n\n## 0.1.0 (2026-11-21)\n\n- old, once Unreleased\n'
  const after = released(before, '0.2.0', '2026-11-27')
  assert.is(after, before.replace('## Unreleased', '## 0.2.0 (2026-11-27)'))
  assert.equal(
    [before, after, after].map((text, i) => hasHeading(text, ['0.2.0', '0.2.0', '0.3.0'][i] ?? '')),
    [true, true, false]
  )
  assert.not(hasHeading(after, '0.1'))
})

test.run()
