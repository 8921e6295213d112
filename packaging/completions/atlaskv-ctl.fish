# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_atlaskv_ctl_global_optspecs
    string join \n addr= socket= token-file= timeout= format= h/help V/version
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

complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
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
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "latency" -d 'Print how long requests took, an operation in a line, since the daemon\'s start'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "slowlog" -d 'Print the latest requests that took at least slow_request_ms, the latest first'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "health" -d 'Print whether the daemon serves: exit with 0 when it does, 8 when it takes no writes, 5 when it cannot be reached within 2 seconds (--timeout)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "check" -d 'Check the daemon for a monitoring system: one line with performance data, and the exit codes of monitoring plugins'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "doctor" -d 'Look for what keeps the daemon from being safe or fast: limits, file system, free space, memory settings, the unit, the store\'s own state'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "config" -d 'Check a configuration file, show the configuration in force, or compare the two'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "sync" -d 'Wait until writes are durable, and print the LSN up to which everything is'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "flush" -d 'Write what is in memory to tables, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "compact" -d 'Merge all tables into one, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "reload" -d 'Read the configuration again, and print what changed and what needs a restart'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "quarantine" -d 'The files that recovery has put aside'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "verify" -d 'Have the daemon read all its files and say whether they are sound'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l hex -d 'The key is in hexadecimal digits, and the value is printed so'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -l raw -d 'Print the value\'s bytes alone, without a line end'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -l hex -d 'Key and value are in hexadecimal digits (standard input never is)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -l hex -d 'The key is in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -l hex -d 'The key is in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand exists" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -l hex -d 'Key and value are in hexadecimal digits (standard input never is)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand put-if-absent" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l if-value -d 'Only if the key has exactly this value' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l if-lsn -d 'Only if the key\'s value was set by the write with this LSN' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand cas" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
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
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l reverse -d 'From the last key to the first'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -l hex -d 'Keys, given and printed, and values are in hexadecimal digits'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand batch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l input-format -d 'How entries stand in lines [default: by the file\'s name, .jsonl or else tsv]' -r -f -a "tsv\t'Key, tab, value, both escaped'
jsonl\t'A JSON object with `key` or `key_hex`, and `value` or `value_hex`'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l output-format -d 'How entries stand in lines [default: by the file\'s name, .jsonl or else tsv]' -r -f -a "tsv\t'Key, tab, value, both escaped'
jsonl\t'A JSON object with `key` or `key_hex`, and `value` or `value_hex`'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l prefix -d 'Only keys that begin so' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l from -d 'The first key, inclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l to -d 'The end, exclusive' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l watch -d 'Print them every so many seconds, until Ctrl-C [default: 1]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l count -d 'With --watch: end after so many' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand latency" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l limit -d 'At most so many [default: all that are kept]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand slowlog" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l of -d 'What to check, several with commas between [default: state,connections,quarantine, and disk-free with --data-dir]' -r -f -a "state\t'Whether writes are taken; without ranges'
connections\t'Per cent of max_connections in use [-w 80 -c 95]'
quarantine\t'Files in quarantine [-w 0]'
stalls\t'Writes that had to wait within one second [-w 0]'
latency-p99\t'Milliseconds of the slowest operation\'s 99th percentile since the start [-w 100 -c 1000]'
disk-free\t'Per cent of the file system of --data-dir that is free [-w 20: -c 10:]'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -s w -l warning -d 'The values that need no warning; for one subject' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -s c -l critical -d 'The values that are not critical; for one subject' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l data-dir -d 'The data directory, on this machine, for disk-free' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l data-dir -d 'The data directory [default: the daemon\'s, else /var/lib/atlaskv, ./atlaskv-data]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l unit -d 'The daemon\'s unit' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -f -a "check" -d 'Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -f -a "show" -d 'Print every key with its value and where that comes from: of the daemon, or of a file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -f -a "diff" -d 'Print what a reload or a restart with this file would change; exit with 1 when that is something'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and not __fish_seen_subcommand_from check show diff help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l file -d 'Of this file, and not of the daemon' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print every key with its value and where that comes from: of the daemon, or of a file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Print what a reload or a restart with this file would change; exit with 1 when that is something'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand flush" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -l wait -d 'Wait until it is done. It always does: the flag says so in scripts'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "purge" -d 'Remove the files for good, and print what was removed'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and not __fish_seen_subcommand_from list purge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Remove the files for good, and print what was removed'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand quarantine; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l rate -d 'Read at most so much in a second, bytes or text such as 4MiB, from 1MiB [default: verify_rate of the daemon\'s configuration, which is the most]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l addr -d 'The daemon\'s TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of stats, latency, health and check first the service\'s socket, where it may be used' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l socket -d 'The daemon\'s Unix socket, for administration, and for data when no address is given [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear [env: ATLASKV_TOKEN_FILE]' -r -F
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l timeout -d 'How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact, reload and sync: as long as it takes]' -r
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l no-wait -d 'Begin it and do not wait for the outcome'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "ping" -d 'Ask whether the daemon answers'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "get" -d 'Print a key\'s value and a line end'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "put" -d 'Set a key\'s value and print the write\'s LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "delete" -d 'Remove a key\'s value and print the write\'s LSN; well also when it had none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "exists" -d 'Print whether a key has a value; exit with 1 when it has none'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "put-if-absent" -d 'Set a key\'s value only if it has none; exit with 1 when it has one'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "cas" -d 'Compare and swap: set or remove a value only if the key is as expected; exit with 1 if not'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "scan" -d 'Print keys and values in key order, one state of the store: key, tab, value, escaped'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "batch" -d 'Do all changes of standard input, or none, as one write, and print its LSN'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "import" -d 'Put every entry of a file, and make them durable'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "export" -d 'Write every entry of one state of the store to a file, in key order'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "stats" -d 'Print the store\'s figures'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "latency" -d 'Print how long requests took, an operation in a line, since the daemon\'s start'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "slowlog" -d 'Print the latest requests that took at least slow_request_ms, the latest first'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "health" -d 'Print whether the daemon serves: exit with 0 when it does, 8 when it takes no writes, 5 when it cannot be reached within 2 seconds (--timeout)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "check" -d 'Check the daemon for a monitoring system: one line with performance data, and the exit codes of monitoring plugins'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "doctor" -d 'Look for what keeps the daemon from being safe or fast: limits, file system, free space, memory settings, the unit, the store\'s own state'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "config" -d 'Check a configuration file, show the configuration in force, or compare the two'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "sync" -d 'Wait until writes are durable, and print the LSN up to which everything is'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "flush" -d 'Write what is in memory to tables, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "compact" -d 'Merge all tables into one, and wait for it'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "reload" -d 'Read the configuration again, and print what changed and what needs a restart'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "quarantine" -d 'The files that recovery has put aside'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "verify" -d 'Have the daemon read all its files and say whether they are sound'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and not __fish_seen_subcommand_from ping get put delete exists put-if-absent cas scan batch import export stats latency slowlog health check doctor config sync flush compact reload quarantine verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print every key with its value and where that comes from: of the daemon, or of a file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "diff" -d 'Print what a reload or a restart with this file would change; exit with 1 when that is something'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "list" -d 'Print name and bytes of each file'
complete -c atlaskv-ctl -n "__fish_atlaskv_ctl_using_subcommand help; and __fish_seen_subcommand_from quarantine" -f -a "purge" -d 'Remove the files for good, and print what was removed'
