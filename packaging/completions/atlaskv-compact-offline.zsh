#compdef atlaskv-compact-offline

autoload -U is-at-least

_atlaskv-compact-offline() {
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
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--dry-run[Say what would be done and what it would take, and change nothing; ends with the code of a refusal if the run would be refused]' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
':dir -- The data directory:_files' \
&& ret=0
}

(( $+functions[_atlaskv-compact-offline_commands] )) ||
_atlaskv-compact-offline_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-compact-offline commands' commands "$@"
}

if [ "$funcstack[1]" = "_atlaskv-compact-offline" ]; then
    _atlaskv-compact-offline "$@"
else
    compdef _atlaskv-compact-offline atlaskv-compact-offline
fi
