#compdef atlaskvd

autoload -U is-at-least

_atlaskvd() {
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
'--config=[The configuration file]:FILE:_files' \
'--data-dir=[The data directory]:DIR:_files' \
'--listen=[The TCP address; port 0 takes a free one]:HOST:PORT:_default' \
'--admin-socket=[The path of the Unix socket for administration]:PATH:_files' \
'--sync=[When a write is durable]:POLICY:((every-write\:"Before the answer"
interval\:"In the background, every \`sync_interval_ms\`"
os-default\:"When the operating system likes, or on request"))' \
'--check-config[Check the configuration and exit]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
}

(( $+functions[_atlaskvd_commands] )) ||
_atlaskvd_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskvd commands' commands "$@"
}

if [ "$funcstack[1]" = "_atlaskvd" ]; then
    _atlaskvd "$@"
else
    compdef _atlaskvd atlaskvd
fi
