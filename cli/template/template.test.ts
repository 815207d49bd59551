/**
 * Templates as people have them from Docker's documentation. What is expected was printed by text/template of Go, but for texts
 * of lists and maps, which are shown here as everywhere in tables, and for what is missing in a map: nothing is shown of it.
 */
import { assert, suite } from '../../lib/testing/suite.ts'
import { expandedOver } from '../format.ts'
import { UsageError } from '../output.ts'
import { formatText } from './printf.ts'

const test = suite('cli/template')

const WEB = {
  Name: 'web',
  State: { Running: true, Pid: 4711 },
  Labels: { tier: 'front', 'com.example.a': 'b' },
  Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': null },
  Networks: { blue: { IPAddress: '10.5.0.2', Aliases: ['w', 'www'] }, green: { IPAddress: '10.6.0.2', Aliases: [] } },
  IPAM: { Config: [{ Subnet: '10.5.0.0/24', Gateway: '10.5.0.1' }, { Subnet: 'fd00::/64' }] },
  Empty: []
}

const CASES: readonly (readonly [template: string, text: string])[] = [
  ['{{.Name}}', 'web'],
  ['{{ .State.Pid }} is {{.name}}', '4711 is web'],
  ['{{range .Networks}}{{.IPAddress}}{{end}}', '10.5.0.210.6.0.2'],
  ['{{range .Networks}}{{.IPAddress}}{{"\\n"}}{{end}}', '10.5.0.2\n10.6.0.2\n'],
  ['{{range $k, $v := .Networks}}{{$k}}={{$v.IPAddress}} {{end}}', 'blue=10.5.0.2 green=10.6.0.2 '],
  ['{{range $i, $e := .IPAM.Config}}{{if $i}}, {{end}}{{$e.Subnet}}{{end}}', '10.5.0.0/24, fd00::/64'],
  ['{{range $c := .IPAM.Config}}{{$c.Subnet}};{{end}}', '10.5.0.0/24;fd00::/64;'],
  ['{{(index .IPAM.Config 0).Subnet}}', '10.5.0.0/24'],
  ['{{index .Labels "com.example.a"}}', 'b'],
  ['{{.Networks.blue.IPAddress}}', '10.5.0.2'],
  ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
  [
    '{{range $p, $conf := .Ports}}{{if $conf}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}{{end}}',
    ' 80/tcp -> 8080 '
  ],
  ['{{json .State}}', '{"Running":true,"Pid":4711}'],
  ['{{.Labels | json}}', '{"tier":"front","com.example.a":"b"}'],
  ['{{len .Networks}} {{len .Name}}', '2 3'],
  ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
  ['{{if eq .Name "db" "web"}}a{{else if eq .Name "x"}}b{{else}}c{{end}}', 'a'],
  ['{{if and .State.Running (gt .State.Pid 5000)}}a{{else if ne .Name "x"}}b{{else}}c{{end}}', 'b'],
  ['{{if not .Empty}}none{{end}}', 'none'],
  ['{{range .Empty}}x{{else}}nobody{{end}}', 'nobody'],
  ['{{with .Networks.red}}{{.IPAddress}}{{else}}not there{{end}}', 'not there'],
  ['{{with $n := index .Networks "green"}}{{$n.IPAddress}} {{$.Name}}{{end}}', '10.6.0.2 web'],
  ['{{$x := "a"}}{{range .IPAM.Config}}{{$x = .Subnet}}{{end}}{{$x}}', 'fd00::/64'],
  ['{{range $i, $e := .IPAM.Config}}{{if $i}}{{break}}{{end}}{{$e.Subnet}}{{end}}', '10.5.0.0/24'],
  ['{{range $i, $e := .IPAM.Config}}{{if not $i}}{{continue}}{{end}}{{$e.Subnet}}{{end}}', 'fd00::/64'],
  ['{{join .Networks.blue.Aliases ", "}}', 'w, www'],
  ['{{index (split .IPAM.Config.0.Subnet "/") 1}}', '24'],
  ['{{upper .Name}} {{.Name | title}} {{pad .Name 1 2}}|{{truncate .Name 2}}', 'WEB Web  web  |we'],
  ['{{printf "%-6s|%5d|%q|%v" .Name .State.Pid .Name .State.Running}}', 'web   | 4711|"web"|true'],
  ['{{.Name | printf "%s-%s" "a"}}', 'a-web'],
  ['{{println .Name}}', 'web\n'],
  ['a {{- /* nothing */ -}} b', 'ab'],
  ['{{- range .IPAM.Config -}}\n  {{.Subnet}}\n{{end -}}\n', '10.5.0.0/24\nfd00::/64\n'],
  ['{{"}}"}}{{`{{`}}', '}}{{'],
  ['{{.Labels.nothing}}', ''],
  ['plain', 'plain'],
  ['json', JSON.stringify(WEB)]
]

test('what Docker’s documentation shows', () => {
  for (const [template, text] of CASES) {
    let shown: string
    try {
      shown = expandedOver(template, WEB)
    } catch (error) {
      throw new Error(`${template}: ${String(error)}`)
    }
    assert.is(shown, text, template)
  }
})

const REFUSED: readonly (readonly [template: string, why: RegExp])[] = [
  ['{{.Nmae}}', /there is no field "Nmae"; did you mean "Name"\?/],
  ['{{.State.Running', /it has no end/],
  ['{{range .Networks}}', /\{\{range\}\} without \{\{end\}\}/],
  ['{{end}}', /\{\{end\}\} ends nothing/],
  ['{{jsn .}}', /there is no function jsn; did you mean "json"\?/],
  ['{{index .IPAM.Config 7}}', /index: there is no member 7: the list has 2/],
  ['{{$x}}', /\$x is not declared/],
  ['{{}}', /a value is missing/],
  ['{{.Name "x"}}', /takes no arguments/],
  ['{{(.Name}}', /\( without \)/],
  ['{{.Name & 1}}', /"&" is not understood/],
  ['{{if .Name}}a{{else}}b', /\{\{else\}\} without \{\{end\}\}/]
]

test('what is no template is refused, with what is wrong', () => {
  for (const [template, why] of REFUSED) {
    assert.throws(
      () => expandedOver(template, WEB),
      (error: unknown) => error instanceof UsageError && why.test(error.message),
      template
    )
  }
})

test('printf as Go has it', () => {
  const text = (form: string, ...args: readonly unknown[]): string => formatText(form, args, String)
  assert.is(text('%5.2s|%-4d|%04d|%x|%.2f|%%', 'abc', 7, 42, 255, 1.5), '   ab|7   |0042|ff|1.50|%')
  assert.is(text('%d %s', 'x'), '%!d(x) %!s(MISSING)')
  assert.is(text('a', 1), 'a%!(EXTRA 1)')
})

test.run()
