complete -c atlaskv-bench -l workload -d 'What to do; several are done one after another' -r -f -a "fill-sequential\t'Puts every key once, in order'
fill-random\t'Puts every key once, in random order'
overwrite\t'Puts keys chosen at random'
read-random\t'Gets keys chosen at random; after a fill all are found'
read-missing\t'Gets keys that no fill puts, between those it puts'
read-while-writing\t'Gets as read-random, while one connection puts as overwrite does'
mixed\t'Gets and puts by the ratio of --reads'
scan\t'Scans --scan-entries entries from keys chosen at random'
delete\t'Deletes every key once, in random order'"
complete -c atlaskv-bench -l addr -d 'The server\'s TCP address' -r
complete -c atlaskv-bench -l socket -d 'The server\'s Unix socket, instead of TCP' -r -F
complete -c atlaskv-bench -l token-file -d 'The file with the token that the daemon wants over TCP; it goes there in the clear' -r -F
complete -c atlaskv-bench -l dialect -d 'What the server speaks' -r -f -a "atlaskv\t'An atlaskvd'
redis\t'A Redis, or a server that speaks as it does, to compare with; without scans'"
complete -c atlaskv-bench -l keys -d 'Keys that the workloads are about' -r
complete -c atlaskv-bench -l key-size -d 'Bytes of a key' -r
complete -c atlaskv-bench -l value-size -d 'Bytes of a value, or from and to, as 100-1000' -r
complete -c atlaskv-bench -l distribution -d 'Which keys are chosen by all but fills and delete' -r -f -a "uniform\t'Every key as often as any other'
zipfian\t'A few keys very often (exponent 0.99), scattered over all keys'"
complete -c atlaskv-bench -l reads -d 'Of the operations of mixed, so many percent are gets' -r
complete -c atlaskv-bench -l scan-entries -d 'Entries of a scan' -r
complete -c atlaskv-bench -l connections -d 'Connections to the server' -r
complete -c atlaskv-bench -l pipeline -d 'Requests in flight on each connection' -r
complete -c atlaskv-bench -l threads -d 'Threads that drive the connections' -r
complete -c atlaskv-bench -l rate -d 'Operations in a second, of all connections together [default: as many as are answered]' -r
complete -c atlaskv-bench -l ops -d 'Operations of each workload [default: fills and delete: one for each key; the others run for 10 s]' -r
complete -c atlaskv-bench -l duration -d 'Seconds after which a workload ends, if it has not before' -r
complete -c atlaskv-bench -l timeout -d 'How long an answer is waited for' -r
complete -c atlaskv-bench -l seed -d 'The seed of keys and values: with the same one the same is asked' -r
complete -c atlaskv-bench -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-bench -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-bench -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-bench -s V -l version -d 'Print version'
