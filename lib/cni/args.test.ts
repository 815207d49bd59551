import { assert, suite, throwsLike } from '../testing/suite.ts'
import { CniArgs } from './args.ts'

const test = suite('lib/cni/args')

test('pairs are found by the exact name', () => {
  const args = new CniArgs('IP=10.0.0.2;MAC=02:00:00:00:00:01')
  assert.is(args.get('IP'), '10.0.0.2')
  assert.is(args.get('MAC'), '02:00:00:00:00:01')
  assert.is(args.get('ip'), undefined)
  assert.is(args.get('GATEWAY'), undefined)
})

test('an empty variable, empty pairs and empty values are nothing', () => {
  assert.is(new CniArgs('').get('IP'), undefined)
  assert.is(new CniArgs(';;IP=;').get('IP'), undefined)
})

test('what containerd and nerdctl send is read', () => {
  const args = new CniArgs(
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;NERDCTL_CNI_DHCP_HOSTNAME=host;IP=10.4.0.9'
  )
  assert.is(args.get('K8S_POD_NAME'), 'pod')
  assert.is(args.get('IP'), '10.4.0.9')
  assert.is(args.get('NERDCTL_CNI_DHCP_HOSTNAME'), 'host')
})

test('a pair that is none is refused when an argument is asked for, not before', () => {
  for (const text of ['IP', 'IP=a=b', '=x', 'IP=1;MAC']) {
    const args = new CniArgs(text)
    throwsLike(() => args.get('IP'), { name: 'CniError', code: 4, message: /read CNI_ARGS: .* is not KEY=value/ })
  }
})

test('an unknown key needs IgnoreUnknown', () => {
  throwsLike(() => new CniArgs('FOO=1;IP=1.2.3.4;BAR=2').get('IP'), { code: 4, message: /unknown "FOO=1;BAR=2"/ })
  throwsLike(() => new CniArgs('FOO=1;IgnoreUnknown=0').get('IP'), { code: 4, message: /unknown "FOO=1"/ })
  throwsLike(() => new CniArgs('FOO=1;IgnoreUnknown=maybe').get('IP'), { code: 4, message: /IgnoreUnknown must be/ })
  for (const yes of ['1', 'true', 'True']) {
    assert.is(new CniArgs(`FOO=1;IP=1.2.3.4;IgnoreUnknown=${yes}`).get('IP'), '1.2.3.4', yes)
  }
})

test.run()
