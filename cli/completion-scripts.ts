/**
 * `patchbay completion SHELL`. The scripts are small and ask the command itself (cli/completion.ts), which answers from the table of
 * commands and from what there is on the host.
 */
import type { Call } from './call.ts'

const BASH = `# bash completion for patchbay
_patchbay() {
  local line current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :files) mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames ;;
      :directories) mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current"); compopt -o filenames ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <(patchbay __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _patchbay patchbay
`

const ZSH = `#compdef patchbay
_patchbay() {
  local line
  local -a found
  while IFS= read -r line; do
    case "$line" in
      :files) _files ;;
      :directories) _files -/ ;;
      *) found+=("\${\${line//:/\\\\:}/$'\\t'/:}") ;;
    esac
  done < <(patchbay __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#found} )) && _describe patchbay found
}
(( $+functions[compdef] )) && compdef _patchbay patchbay
[[ $zsh_eval_context[-1] == loadautofunc ]] && _patchbay "$@"
`

const FISH = `# fish completion for patchbay
function __patchbay_complete
  set -l current (commandline -ct)
  for line in (patchbay __complete (commandline -opc)[2..] "$current" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$current"
      case :directories
        __fish_complete_directories "$current"
      case '*'
        echo $line
    end
  end
end
complete -c patchbay -f -a '(__patchbay_complete)'
`

/** By shell: the script, and where below `share` the shell looks for it by itself. */
export const COMPLETIONS: ReadonlyMap<string, { readonly text: string; readonly path: string }> = new Map([
  ['bash', { text: BASH, path: 'bash-completion/completions/patchbay' }],
  ['zsh', { text: ZSH, path: 'zsh/site-functions/_patchbay' }],
  ['fish', { text: FISH, path: 'fish/vendor_completions.d/patchbay.fish' }]
])

/** `completion SHELL` */
export async function completion(call: Call): Promise<number> {
  call.output.out(COMPLETIONS.get(call.word(0))?.text ?? '')
  return 0
}
