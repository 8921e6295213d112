complete -c atlaskv-verify -l dump -d 'Show one segment or one table, entry by entry: FILE, or the file of that name in DIR. Needs no manifest. With --format json: one document a line' -r -F
complete -c atlaskv-verify -l threads -d 'Tables that are read at the same time [default: the machine\'s processors, at most 4]' -r
complete -c atlaskv-verify -l format -d 'Text for people, or one JSON document, errors included' -r -f -a "human\t'Text for people'
json\t'One JSON document, errors included'"
complete -c atlaskv-verify -l accept-loss -d 'Repair although something is lost: exactly the loss that was shown with this PLAN' -r
complete -c atlaskv-verify -l quick -d 'Read only the manifest and the headers and footers of the files that it names'
complete -c atlaskv-verify -l repair -d 'Lock the directory, show what a repair would keep and lose, and repair it if nothing is lost'
complete -c atlaskv-verify -l dry-run -d 'Only show what a repair would do'
complete -c atlaskv-verify -l no-progress -d 'Show no progress on a terminal (elsewhere there is none)'
complete -c atlaskv-verify -s h -l help -d 'Print help (see more with \'--help\')'
complete -c atlaskv-verify -s V -l version -d 'Print version'
