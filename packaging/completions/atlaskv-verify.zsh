#compdef atlaskv-verify

autoload -U is-at-least

_atlaskv-verify() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'(--quick --repair --threads)--dump=[Show one segment or one table, entry by entry\: FILE, or the file of that name in DIR. Needs no manifest. With --format json\: one document a line]:FILE:_files' \
'--threads=[Tables that are read at the same time \[default\: the machine'\''s processors, at most 4\]]:N:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--accept-loss=[Repair although something is lost\: exactly the loss that was shown with this PLAN]:PLAN:_default' \
'--quick[Read only the manifest and the headers and footers of the files that it names]' \
'(--quick)--repair[Lock the directory, show what a repair would keep and lose, and repair it if nothing is lost]' \
'--dry-run[Only show what a repair would do]' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
'::dir -- The data directory:_files' \
&& ret=0
}

(( $+functions[_atlaskv-verify_commands] )) ||
_atlaskv-verify_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-verify commands' commands "$@"
}

if [ "$funcstack[1]" = "_atlaskv-verify" ]; then
    _atlaskv-verify "$@"
else
    compdef _atlaskv-verify atlaskv-verify
fi
