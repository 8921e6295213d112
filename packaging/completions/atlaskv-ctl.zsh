#compdef atlaskv-ctl

autoload -U is-at-least

_atlaskv-ctl() {
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
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_atlaskv-ctl_commands" \
"*::: :->atlaskv-ctl" \
&& ret=0
    case $state in
    (atlaskv-ctl)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-command-$line[1]:"
        case $line[1] in
            (ping)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(get)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--hex[The key is in hexadecimal digits, and the value is printed so]' \
'--raw[Print the value'\''s bytes alone, without a line end]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
&& ret=0
;;
(put)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--hex[Key and value are in hexadecimal digits (standard input never is)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
':value -- The value; `-` takes the bytes of standard input:_default' \
&& ret=0
;;
(delete)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--hex[The key is in hexadecimal digits]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
&& ret=0
;;
(exists)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--hex[The key is in hexadecimal digits]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
&& ret=0
;;
(put-if-absent)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--hex[Key and value are in hexadecimal digits (standard input never is)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
':value -- The value; `-` takes the bytes of standard input:_default' \
&& ret=0
;;
(cas)
_arguments "${_arguments_options[@]}" : \
'--if-value=[Only if the key has exactly this value]:VALUE:_default' \
'--if-lsn=[Only if the key'\''s value was set by the write with this LSN]:LSN:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--delete[Remove the value instead of setting one]' \
'--if-absent[Only if the key has no value]' \
'--hex[Key and values are in hexadecimal digits (standard input never is)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':key -- The key:_default' \
'::value -- The new value; `-` takes the bytes of standard input:_default' \
&& ret=0
;;
(scan)
_arguments "${_arguments_options[@]}" : \
'--prefix=[Only keys that begin so]:PREFIX:_default' \
'--from=[The first key, inclusive]:KEY:_default' \
'--to=[The end, exclusive]:KEY:_default' \
'--limit=[At most this many entries]:N:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--reverse[From the last key to the first]' \
'--hex[Keys, given and printed, and values are in hexadecimal digits]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(batch)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
'--input-format=[How entries stand in lines \[default\: by the file'\''s name, .jsonl or else tsv\]]:FORMAT:((tsv\:"Key, tab, value, both escaped"
jsonl\:"A JSON object with \`key\` or \`key_hex\`, and \`value\` or \`value_hex\`"))' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The file; `-` reads standard input:_files' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--output-format=[How entries stand in lines \[default\: by the file'\''s name, .jsonl or else tsv\]]:FORMAT:((tsv\:"Key, tab, value, both escaped"
jsonl\:"A JSON object with \`key\` or \`key_hex\`, and \`value\` or \`value_hex\`"))' \
'--prefix=[Only keys that begin so]:PREFIX:_default' \
'--from=[The first key, inclusive]:KEY:_default' \
'--to=[The end, exclusive]:KEY:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The file; `-` writes standard output:_files' \
&& ret=0
;;
(stats)
_arguments "${_arguments_options[@]}" : \
'--watch=[Print them every so many seconds, until Ctrl-C \[default\: 1\]]::SECONDS:_default' \
'--count=[With --watch\: end after so many]:N:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(latency)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(slowlog)
_arguments "${_arguments_options[@]}" : \
'--limit=[At most so many \[default\: all that are kept\]]:N:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'*--of=[What to check, several with commas between \[default\: state,connections,quarantine, and disk-free with --data-dir\]]:WHAT:((state\:"Whether writes are taken; without ranges"
connections\:"Per cent of max_connections in use \[-w 80 -c 95\]"
quarantine\:"Files in quarantine \[-w 0\]"
stalls\:"Writes that had to wait within one second \[-w 0\]"
latency-p99\:"Milliseconds of the slowest operation'\''s 99th percentile since the start \[-w 100 -c 1000\]"
disk-free\:"Per cent of the file system of --data-dir that is free \[-w 20\: -c 10\:\]"))' \
'-w+[The values that need no warning; for one subject]:RANGE:_default' \
'--warning=[The values that need no warning; for one subject]:RANGE:_default' \
'-c+[The values that are not critical; for one subject]:RANGE:_default' \
'--critical=[The values that are not critical; for one subject]:RANGE:_default' \
'--data-dir=[The data directory, on this machine, for disk-free]:DIR:_files' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--data-dir=[The data directory \[default\: the daemon'\''s, else /var/lib/atlaskv, ./atlaskv-data\]]:DIR:_files' \
'--unit=[The daemon'\''s unit]:UNIT:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(config)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_atlaskv-ctl__subcmd__config_commands" \
"*::: :->config" \
&& ret=0

    case $state in
    (config)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-config-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::file -- The file:_files' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--file=[Of this file, and not of the daemon]:FILE:_files' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::file -- The file:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_atlaskv-ctl__subcmd__config__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-config-help-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(sync)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::lsn -- The write to wait for, with all before it \[default\: everything written so far\]:_default' \
&& ret=0
;;
(flush)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(compact)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(reload)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--wait[Wait until it is done. It always does\: the flag says so in scripts]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(quarantine)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_atlaskv-ctl__subcmd__quarantine_commands" \
"*::: :->quarantine" \
&& ret=0

    case $state in
    (quarantine)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-quarantine-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(purge)
_arguments "${_arguments_options[@]}" : \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_atlaskv-ctl__subcmd__quarantine__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-quarantine-help-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(purge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(verify)
_arguments "${_arguments_options[@]}" : \
'--rate=[Read at most so much in a second, bytes or text such as 4MiB, from 1MiB \[default\: verify_rate of the daemon'\''s configuration, which is the most\]]:SIZE:_default' \
'--addr=[The daemon'\''s TCP address, for data commands \[env\: ATLASKV_ADDR\] \[default\: 127.0.0.1\:7390\]; of stats, latency, health and check first the service'\''s socket, where it may be used]:HOST:PORT:_default' \
'--socket=[The daemon'\''s Unix socket, for administration, and for data when no address is given \[env\: ATLASKV_SOCKET\] \[default\: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock\]]:PATH:_files' \
'--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear \[env\: ATLASKV_TOKEN_FILE\]]:FILE:_files' \
'--timeout=[How long to wait for an answer \[default\: 90; doctor 5; check 10; health 2; flush, compact, reload and sync\: as long as it takes\]]:SECONDS:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--no-wait[Begin it and do not wait for the outcome]' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_atlaskv-ctl__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-help-command-$line[1]:"
        case $line[1] in
            (ping)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(get)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(put)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(delete)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(exists)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(put-if-absent)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(cas)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(scan)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(batch)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(stats)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(latency)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(slowlog)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(health)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(config)
_arguments "${_arguments_options[@]}" : \
":: :_atlaskv-ctl__subcmd__help__subcmd__config_commands" \
"*::: :->config" \
&& ret=0

    case $state in
    (config)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-help-config-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(sync)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(flush)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(compact)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reload)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(quarantine)
_arguments "${_arguments_options[@]}" : \
":: :_atlaskv-ctl__subcmd__help__subcmd__quarantine_commands" \
"*::: :->quarantine" \
&& ret=0

    case $state in
    (quarantine)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:atlaskv-ctl-help-quarantine-command-$line[1]:"
        case $line[1] in
            (list)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(purge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(verify)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_atlaskv-ctl_commands] )) ||
_atlaskv-ctl_commands() {
    local commands; commands=(
'ping:Ask whether the daemon answers' \
'get:Print a key'\''s value and a line end' \
'put:Set a key'\''s value and print the write'\''s LSN' \
'delete:Remove a key'\''s value and print the write'\''s LSN; well also when it had none' \
'exists:Print whether a key has a value; exit with 1 when it has none' \
'put-if-absent:Set a key'\''s value only if it has none; exit with 1 when it has one' \
'cas:Compare and swap\: set or remove a value only if the key is as expected; exit with 1 if not' \
'scan:Print keys and values in key order, one state of the store\: key, tab, value, escaped' \
'batch:Do all changes of standard input, or none, as one write, and print its LSN' \
'import:Put every entry of a file, and make them durable' \
'export:Write every entry of one state of the store to a file, in key order' \
'stats:Print the store'\''s figures' \
'latency:Print how long requests took, an operation in a line, since the daemon'\''s start' \
'slowlog:Print the latest requests that took at least slow_request_ms, the latest first' \
'health:Print whether the daemon serves\: exit with 0 when it does, 8 when it takes no writes, 5 when it cannot be reached within 2 seconds (--timeout)' \
'check:Check the daemon for a monitoring system\: one line with performance data, and the exit codes of monitoring plugins' \
'doctor:Look for what keeps the daemon from being safe or fast\: limits, file system, free space, memory settings, the unit, the store'\''s own state' \
'config:Check a configuration file, show the configuration in force, or compare the two' \
'sync:Wait until writes are durable, and print the LSN up to which everything is' \
'flush:Write what is in memory to tables, and wait for it' \
'compact:Merge all tables into one, and wait for it' \
'reload:Read the configuration again, and print what changed and what needs a restart' \
'quarantine:The files that recovery has put aside' \
'verify:Have the daemon read all its files and say whether they are sound' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__batch_commands] )) ||
_atlaskv-ctl__subcmd__batch_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl batch commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__cas_commands] )) ||
_atlaskv-ctl__subcmd__cas_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl cas commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__check_commands] )) ||
_atlaskv-ctl__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl check commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__compact_commands] )) ||
_atlaskv-ctl__subcmd__compact_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl compact commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config_commands] )) ||
_atlaskv-ctl__subcmd__config_commands() {
    local commands; commands=(
'check:Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused' \
'show:Print every key with its value and where that comes from\: of the daemon, or of a file' \
'diff:Print what a reload or a restart with this file would change; exit with 1 when that is something' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl config commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__check_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config check commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__diff_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config diff commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__help_commands() {
    local commands; commands=(
'check:Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused' \
'show:Print every key with its value and where that comes from\: of the daemon, or of a file' \
'diff:Print what a reload or a restart with this file would change; exit with 1 when that is something' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl config help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__check_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config help check commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__diff_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config help diff commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config help help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__show_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__help__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config help show commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__config__subcmd__show_commands] )) ||
_atlaskv-ctl__subcmd__config__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl config show commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__delete_commands] )) ||
_atlaskv-ctl__subcmd__delete_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl delete commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__doctor_commands] )) ||
_atlaskv-ctl__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl doctor commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__exists_commands] )) ||
_atlaskv-ctl__subcmd__exists_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl exists commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__export_commands] )) ||
_atlaskv-ctl__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl export commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__flush_commands] )) ||
_atlaskv-ctl__subcmd__flush_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl flush commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__get_commands] )) ||
_atlaskv-ctl__subcmd__get_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl get commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__health_commands] )) ||
_atlaskv-ctl__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl health commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__help_commands() {
    local commands; commands=(
'ping:Ask whether the daemon answers' \
'get:Print a key'\''s value and a line end' \
'put:Set a key'\''s value and print the write'\''s LSN' \
'delete:Remove a key'\''s value and print the write'\''s LSN; well also when it had none' \
'exists:Print whether a key has a value; exit with 1 when it has none' \
'put-if-absent:Set a key'\''s value only if it has none; exit with 1 when it has one' \
'cas:Compare and swap\: set or remove a value only if the key is as expected; exit with 1 if not' \
'scan:Print keys and values in key order, one state of the store\: key, tab, value, escaped' \
'batch:Do all changes of standard input, or none, as one write, and print its LSN' \
'import:Put every entry of a file, and make them durable' \
'export:Write every entry of one state of the store to a file, in key order' \
'stats:Print the store'\''s figures' \
'latency:Print how long requests took, an operation in a line, since the daemon'\''s start' \
'slowlog:Print the latest requests that took at least slow_request_ms, the latest first' \
'health:Print whether the daemon serves\: exit with 0 when it does, 8 when it takes no writes, 5 when it cannot be reached within 2 seconds (--timeout)' \
'check:Check the daemon for a monitoring system\: one line with performance data, and the exit codes of monitoring plugins' \
'doctor:Look for what keeps the daemon from being safe or fast\: limits, file system, free space, memory settings, the unit, the store'\''s own state' \
'config:Check a configuration file, show the configuration in force, or compare the two' \
'sync:Wait until writes are durable, and print the LSN up to which everything is' \
'flush:Write what is in memory to tables, and wait for it' \
'compact:Merge all tables into one, and wait for it' \
'reload:Read the configuration again, and print what changed and what needs a restart' \
'quarantine:The files that recovery has put aside' \
'verify:Have the daemon read all its files and say whether they are sound' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__batch_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__batch_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help batch commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__cas_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__cas_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help cas commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__check_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help check commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__compact_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__compact_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help compact commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__config_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__config_commands() {
    local commands; commands=(
'check:Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused' \
'show:Print every key with its value and where that comes from\: of the daemon, or of a file' \
'diff:Print what a reload or a restart with this file would change; exit with 1 when that is something' \
    )
    _describe -t commands 'atlaskv-ctl help config commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__check_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help config check commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__diff_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help config diff commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__show_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__config__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help config show commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__delete_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__delete_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help delete commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__doctor_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help doctor commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__exists_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__exists_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help exists commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__export_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help export commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__flush_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__flush_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help flush commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__get_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__get_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help get commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__health_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__health_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help health commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__import_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help import commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__latency_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__latency_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help latency commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__ping_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__ping_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help ping commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__put_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__put_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help put commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__put-if-absent_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__put-if-absent_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help put-if-absent commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__quarantine_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__quarantine_commands() {
    local commands; commands=(
'list:Print name and bytes of each file' \
'purge:Remove the files for good, and print what was removed' \
    )
    _describe -t commands 'atlaskv-ctl help quarantine commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__quarantine__subcmd__list_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__quarantine__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help quarantine list commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__quarantine__subcmd__purge_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__quarantine__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help quarantine purge commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__reload_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__reload_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help reload commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__scan_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__scan_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help scan commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__slowlog_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__slowlog_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help slowlog commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__stats_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__stats_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help stats commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__sync_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__sync_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help sync commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__help__subcmd__verify_commands] )) ||
_atlaskv-ctl__subcmd__help__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl help verify commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__import_commands] )) ||
_atlaskv-ctl__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl import commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__latency_commands] )) ||
_atlaskv-ctl__subcmd__latency_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl latency commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__ping_commands] )) ||
_atlaskv-ctl__subcmd__ping_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl ping commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__put_commands] )) ||
_atlaskv-ctl__subcmd__put_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl put commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__put-if-absent_commands] )) ||
_atlaskv-ctl__subcmd__put-if-absent_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl put-if-absent commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine_commands] )) ||
_atlaskv-ctl__subcmd__quarantine_commands() {
    local commands; commands=(
'list:Print name and bytes of each file' \
'purge:Remove the files for good, and print what was removed' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl quarantine commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__help_commands() {
    local commands; commands=(
'list:Print name and bytes of each file' \
'purge:Remove the files for good, and print what was removed' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'atlaskv-ctl quarantine help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__help_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl quarantine help help commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__list_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl quarantine help list commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__purge_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__help__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl quarantine help purge commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__list_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl quarantine list commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__quarantine__subcmd__purge_commands] )) ||
_atlaskv-ctl__subcmd__quarantine__subcmd__purge_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl quarantine purge commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__reload_commands] )) ||
_atlaskv-ctl__subcmd__reload_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl reload commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__scan_commands] )) ||
_atlaskv-ctl__subcmd__scan_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl scan commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__slowlog_commands] )) ||
_atlaskv-ctl__subcmd__slowlog_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl slowlog commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__stats_commands] )) ||
_atlaskv-ctl__subcmd__stats_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl stats commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__sync_commands] )) ||
_atlaskv-ctl__subcmd__sync_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl sync commands' commands "$@"
}
(( $+functions[_atlaskv-ctl__subcmd__verify_commands] )) ||
_atlaskv-ctl__subcmd__verify_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-ctl verify commands' commands "$@"
}

if [ "$funcstack[1]" = "_atlaskv-ctl" ]; then
    _atlaskv-ctl "$@"
else
    compdef _atlaskv-ctl atlaskv-ctl
fi
