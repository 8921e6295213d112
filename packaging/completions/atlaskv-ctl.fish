# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_atlaskv_ctl_global_optspecs
    string join \n addr= socket= timeout= format= h/help V/version
end

function __fish_atlaskv_ctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_atlaskv_ctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_atlaskv_ctl_using_subcommand
    set -l cmd (__fish_atlaskv_ctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -s V -l version -d 'Print version'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "ping" -d 'Ask whether the daemon answers'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "get" -d 'Print a key\'s value and a line end'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "put" -d 'Set a key\'s value and print the write\'s LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "delete" -d 'Remove a key\'s value and print the write\'s LSN; well also when it had none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "exists" -d 'Print whether a key has a value; exit with 1 when it has none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "put-if-absent" -d 'Set a key\'s value only if it has none; exit with 1 when it has one'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "cas" -d 'Compare and swap: set or remove a value only if the key is as expected; exit with 1 if not'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "scan" -d 'Print keys and values in key order, one state of the store: key, tab, value, escaped'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "batch" -d 'Do all changes of standard input, or none, as one write, and print its LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "import" -d 'Put every entry of a file, and make them durable'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "export" -d 'Write every entry of one state of the store to a file, in key order'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "stats" -d 'Print the store\'s figures'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "sync" -d 'Wait until writes are durable, and print the LSN up to which everything is'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "flush" -d 'Write what is in memory to tables, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "compact" -d 'Merge all tables into one, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "quarantine" -d 'The files that recovery has put aside'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l hex -d 'The key is in hexadecimal digits, and the value is printed so'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l raw -d 'Print the value\'s bytes alone, without a line end'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l hex -d 'Key and value are in hexadecimal digits (standard input never is)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l hex -d 'The key is in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l hex -d 'The key is in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l hex -d 'Key and value are in hexadecimal digits (standard input never is)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l if-value -d 'Only if the key has exactly this value' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l if-lsn -d 'Only if the key\'s value was set by the write with this LSN' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l delete -d 'Remove the value instead of setting one'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l if-absent -d 'Only if the key has no value'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l hex -d 'Key and values are in hexadecimal digits (standard input never is)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l prefix -d 'Only keys that begin so' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l from -d 'The first key, inclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l to -d 'The end, exclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l limit -d 'At most this many entries' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l reverse -d 'From the last key to the first'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l hex -d 'Keys, given and printed, and values are in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l input-format -d 'How entries stand in lines [default: by the file\'s name, .jsonl or else tsv]' -r -f -a "tsv\t'Key, tab, value, both escaped'
jsonl\t'A JSON object with `key` or `key_hex`, and `value` or `value_hex`'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l output-format -d 'How entries stand in lines [default: by the file\'s name, .jsonl or else tsv]' -r -f -a "tsv\t'Key, tab, value, both escaped'
jsonl\t'A JSON object with `key` or `key_hex`, and `value` or `value_hex`'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l prefix -d 'Only keys that begin so' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l from -d 'The first key, inclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l to -d 'The end, exclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "purge" -d 'Remove the files for good, and print what was removed'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l timeout -d 'How long to wait for an answer [default: 90; flush, compact and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Remove the files for good, and print what was removed'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "ping" -d 'Ask whether the daemon answers'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "get" -d 'Print a key\'s value and a line end'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "put" -d 'Set a key\'s value and print the write\'s LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "delete" -d 'Remove a key\'s value and print the write\'s LSN; well also when it had none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "exists" -d 'Print whether a key has a value; exit with 1 when it has none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "put-if-absent" -d 'Set a key\'s value only if it has none; exit with 1 when it has one'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "cas" -d 'Compare and swap: set or remove a value only if the key is as expected; exit with 1 if not'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "scan" -d 'Print keys and values in key order, one state of the store: key, tab, value, escaped'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "batch" -d 'Do all changes of standard input, or none, as one write, and print its LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "import" -d 'Put every entry of a file, and make them durable'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "export" -d 'Write every entry of one state of the store to a file, in key order'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "stats" -d 'Print the store\'s figures'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "sync" -d 'Wait until writes are durable, and print the LSN up to which everything is'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "flush" -d 'Write what is in memory to tables, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "compact" -d 'Merge all tables into one, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "quarantine" -d 'The files that recovery has put aside'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats sync flush compact quarantine help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "purge" -d 'Remove the files for good, and print what was removed'
