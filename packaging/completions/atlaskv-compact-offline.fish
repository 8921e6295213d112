complete -c atlaskv-compact-offline -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-compact-offline -l dry-run -d 'Say what would be done and what it would take, and change nothing; ends with the code of a refusal if the run would be refused'
complete -c atlaskv-compact-offline -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-compact-offline -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-compact-offline -s V -l version -d 'Print version'
