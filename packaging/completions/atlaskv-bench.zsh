#compdef atlaskv-bench

autoload -U is-at-least

_atlaskv-bench() {
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
'*--workload=[What to do; several are done one after another]:NAME:((fill-sequential\:"Puts every key once, in order"
fill-random\:"Puts every key once, in random order"
overwrite\:"Puts keys chosen at random"
read-random\:"Gets keys chosen at random; after a fill all are found"
read-missing\:"Gets keys that no fill puts, between those it puts"
read-while-writing\:"Gets as read-random, while one connection puts as overwrite does"
mixed\:"Gets and puts by the ratio of --reads"
scan\:"Scans --scan-entries entries from keys chosen at random"
delete\:"Deletes every key once, in random order"))' \
'--addr=[The server'\''s TCP address]:HOST:PORT:_default' \
'--socket=[The server'\''s Unix socket, instead of TCP]:PATH:_files' \
'(--socket)--token-file=[The file with the token that the daemon wants over TCP; it goes there in the clear]:FILE:_files' \
'--dialect=[What the server speaks]:DIALECT:((atlaskv\:"An atlaskvd"
redis\:"A Redis, or a server that speaks as it does, to compare with; without scans"))' \
'--keys=[Keys that the workloads are about]:N:_default' \
'--key-size=[Bytes of a key]:BYTES:_default' \
'--value-size=[Bytes of a value, or from and to, as 100-1000]:BYTES:_default' \
'--distribution=[Which keys are chosen by all but fills and delete]:DISTRIBUTION:((uniform\:"Every key as often as any other"
zipfian\:"A few keys very often (exponent 0.99), scattered over all keys"))' \
'--reads=[Of the operations of mixed, so many percent are gets]:PERCENT:_default' \
'--scan-entries=[Entries of a scan]:N:_default' \
'--connections=[Connections to the server]:N:_default' \
'--pipeline=[Requests in flight on each connection]:N:_default' \
'--threads=[Threads that drive the connections]:N:_default' \
'--rate=[Operations in a second, of all connections together \[default\: as many as are answered\]]:N:_default' \
'--ops=[Operations of each workload \[default\: fills and delete\: one for each key; the others run for 10 s\]]:N:_default' \
'--duration=[Seconds after which a workload ends, if it has not before]:SECONDS:_default' \
'--timeout=[How long an answer is waited for]:SECONDS:_default' \
'--seed=[The seed of keys and values\: with the same one the same is asked]:N:_default' \
'--format=[Text for people, or one JSON document, errors included]:FORMAT:((human\:"Text for people"
json\:"One JSON document, errors included"))' \
'--no-progress[Show no progress on a terminal (elsewhere there is none)]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
&& ret=0
}

(( $+functions[_atlaskv-bench_commands] )) ||
_atlaskv-bench_commands() {
    local commands; commands=()
    _describe -t commands 'atlaskv-bench commands' commands "$@"
}

if [ "$funcstack[1]" = "_atlaskv-bench" ]; then
    _atlaskv-bench "$@"
else
    compdef _atlaskv-bench atlaskv-bench
fi
