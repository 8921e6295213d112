complete -c atlaskvd -l config -d 'The configuration file' -r -F
complete -c atlaskvd -l data-dir -d 'The data directory' -r -F
complete -c atlaskvd -l listen -d 'The TCP address; port 0 takes a free one' -r
complete -c atlaskvd -l admin-socket -d 'The path of the Unix socket for administration' -r -F
complete -c atlaskvd -l sync -d 'When a write is durable' -r -f -a "every-write\t'Before the answer'
interval\t'In the background, every `sync_interval_ms`'
os-default\t'When the operating system likes, or on request'"
complete -c atlaskvd -l check-config -d 'Check the configuration and exit'
complete -c atlaskvd -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskvd -s V -l version -d 'Print version'
