# SPDX-License-Identifier: Apache-2.0
# fish completion of chatctl(1).

function __chatctl_conversations
    chatctl list --wait 0 --quiet 2>/dev/null |
        string replace -r '^ *(\d+) +(\S+ \S+) +\d+ +(.*)$' '$1\t$3'
end

set -l commands chat ask list show search rate review delete export stats status health reload filters moderate tokenize help
set -l none "not __fish_seen_subcommand_from $commands"
set -l text "not __fish_seen_subcommand_from list show search rate review delete export stats status health reload filters moderate tokenize help"

complete -c chatctl -f
complete -c chatctl -n $none -a chat -d 'Chat interactively, or answer stdin'
complete -c chatctl -n $none -a ask -d 'Ask one thing and print the reply'
complete -c chatctl -n $none -a list -d 'List conversations'
complete -c chatctl -n $none -a show -d 'Show a conversation'
complete -c chatctl -n $none -a search -d 'Find exchanges by their words'
complete -c chatctl -n $none -a rate -d 'Rate a reply'
complete -c chatctl -n $none -a review -d 'Rate replies one after the other'
complete -c chatctl -n $none -a delete -d 'Delete conversations for good'
complete -c chatctl -n $none -a export -d 'Export exchanges and ratings'
complete -c chatctl -n $none -a stats -d 'Count replies and ratings'
complete -c chatctl -n $none -a status -d 'Show the state of chatd'
complete -c chatctl -n $none -a health -d 'Print the health of chatd'
complete -c chatctl -n $none -a reload -d 'Make chatd read its configuration again'
complete -c chatctl -n $none -a filters -d 'List the plugins that judge texts'
complete -c chatctl -n $none -a moderate -d 'Show what the filters find in texts'
complete -c chatctl -n $none -a tokenize -d 'Print token ids'
complete -c chatctl -n $none -a help -d 'Print help'
complete -c chatctl -n '__fish_seen_subcommand_from help' -a "$commands"

complete -c chatctl -s j -l json -d 'Print JSON, one object per line'
complete -c chatctl -s q -l quiet -d 'No notices and no progress'
complete -c chatctl -s s -l socket -r -F -d 'Socket of chatd'
complete -c chatctl -s w -l wait -x -d 'Wait for chatd and its model'
complete -c chatctl -l color -x -a 'auto always never' -d 'When to use colours'
complete -c chatctl -s h -l help -d 'Print help'
complete -c chatctl -s V -l version -d 'Print the version'

complete -c chatctl -n $text -s c -l continue -d 'Continue the newest conversation'
complete -c chatctl -n $text -l conversation -x -a '(__chatctl_conversations)' -d 'Continue a conversation'
complete -c chatctl -n $text -l raw -d 'The text is a raw prompt'
complete -c chatctl -n $text -l preprompt -x -d 'Text before the dialogue'
complete -c chatctl -n $text -l temperature -x -d '0 to 2'
complete -c chatctl -n $text -l top-k -x -d 'Consider this number of tokens'
complete -c chatctl -n $text -l top-p -x -d 'Consider tokens up to this probability'
complete -c chatctl -n $text -l repetition-penalty -x -d 'Above 1 makes repeated tokens less likely'
complete -c chatctl -n $text -l max-tokens -x -d 'Maximum length of the reply in tokens'
complete -c chatctl -n $text -l seed -x -d 'The same seed gives the same reply'
complete -c chatctl -n $text -l stop -x -d 'End the reply before this text'
complete -c chatctl -n $text -l ignore-eos -d 'Continue after the model ends the text'
complete -c chatctl -n $none -l no-history -d 'Keep no history file'

complete -c chatctl -n '__fish_seen_subcommand_from list search review' -s n -l limit -x -d 'Maximum number'
complete -c chatctl -n '__fish_seen_subcommand_from list search' -l before -x -d 'Only older entries'
complete -c chatctl -n '__fish_seen_subcommand_from list search stats export' -l all -d 'Include the data of all users'
complete -c chatctl -n '__fish_seen_subcommand_from list' -l raw -d 'Raw prompts'
complete -c chatctl -n '__fish_seen_subcommand_from show delete' -l exchange -d 'The numbers are those of exchanges'
complete -c chatctl -n '__fish_seen_subcommand_from list show search' -l no-pager -d 'Use no pager'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l since -x -d 'Only from this time on'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l until -x -d 'Only before this time'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l rating -x -a 'good bad neutral any none ideal' -d 'Only replies rated so'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review rate' -l reason -x -a 'incorrect unhelpful harmful wrong_refusal' -d 'Reason'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l category -x -a 'misinformation hate violence impersonation harassment defamation spam_scam confidential terms_violation malicious_bot illegal other_unsafe' -d 'Only with such a finding'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l model -x -d 'Only replies of this model'
complete -c chatctl -n '__fish_seen_subcommand_from list show search stats review' -l user -x -a '(__fish_complete_users)' -d 'Only this user'
complete -c chatctl -n '__fish_seen_subcommand_from show delete' -a '(__chatctl_conversations)'
complete -c chatctl -n '__fish_seen_subcommand_from rate' -a 'good bad neutral'
complete -c chatctl -n '__fish_seen_subcommand_from rate' -l ideal -x -d 'The reply you wanted'
complete -c chatctl -n '__fish_seen_subcommand_from rate' -l edit -d 'Change the reply in your editor'
complete -c chatctl -n '__fish_seen_subcommand_from rate' -l comment -x -d 'A comment'
complete -c chatctl -n '__fish_seen_subcommand_from rate' -l reply -x -d 'The number of a reply'
complete -c chatctl -n '__fish_seen_subcommand_from review' -l unrated -d 'Replies that nobody has rated'
complete -c chatctl -n '__fish_seen_subcommand_from review' -l second -d 'Replies that others have rated'
complete -c chatctl -n '__fish_seen_subcommand_from review' -l disputed -d 'Rated good by one and bad by another'
complete -c chatctl -n '__fish_seen_subcommand_from review' -l flagged -d 'Replies with findings of the filters'
complete -c chatctl -n '__fish_seen_subcommand_from review' -l refusals -d 'Blocks that users have rated wrong_refusal'
complete -c chatctl -n '__fish_seen_subcommand_from export' -s f -l format -x -a 'oig messages preference csv moderation' -d 'Format'
complete -c chatctl -n '__fish_seen_subcommand_from export' -s o -l output -r -F -d 'A new file'
complete -c chatctl -n '__fish_seen_subcommand_from moderate' -s d -l direction -x -a 'prompt reply' -d 'Direction of the text'
complete -c chatctl -n '__fish_seen_subcommand_from moderate' -l prompt -x -d 'The prompt of the replies'
complete -c chatctl -n '__fish_seen_subcommand_from moderate' -l jsonl -d 'Each line is a JSON string'
complete -c chatctl -n '__fish_seen_subcommand_from moderate' -s e -l explain -d 'Show what was found, and why'
