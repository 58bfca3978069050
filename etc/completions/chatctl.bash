# SPDX-License-Identifier: Apache-2.0
# bash completion of chatctl(1).

_chatctl_command()
{
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s|--socket|-w|--wait|--color|--conversation|--preprompt|\
		--temperature|--top-k|--top-p|--repetition-penalty|\
		--max-tokens|--seed|--stop|--adapter)
			((i++)) ;;
		-*)	;;
		*)	echo "${COMP_WORDS[i]}"; return ;;
		esac
	done
}

_chatctl_options()
{
	local any="--json --quiet --socket --wait --color --help --version"
	local text="--continue --conversation --raw --preprompt --temperature
		--top-k --top-p --repetition-penalty --max-tokens --seed
		--stop --adapter --ignore-eos --plain"
	local filter="--since --until --rating --reason --category --model
		--user"
	case $1 in
	''|chat)	echo "$text --no-history $any" ;;
	ask)		echo "$text --no-stdin $any" ;;
	list)		echo "--limit --before --all --raw --no-pager $filter
			    $any" ;;
	search)		echo "--limit --before --all --no-pager $filter
			    $any" ;;
	show)		echo "--exchange --markdown --no-pager --plain $filter $any" ;;
	stats)		echo "--all $filter $any" ;;
	ab)		echo "--any --since --until --category --model --user
			    $any" ;;
	delete)		echo "--exchange $any" ;;
	forget)		echo "--all --since --until --user --yes $any" ;;
	reload)		echo "--model $any" ;;
	replay)		echo "--reply --sample --all $any" ;;
	rate)		echo "--reason --ideal --edit --comment --reply $any" ;;
	review)		echo "--unrated --second --disputed --flagged
			    --refusals --limit $filter $any" ;;
	export)		echo "--format --output --all --split --heldout --consent
			    --unique --bare --sidecar $filter $any" ;;
	tune)		echo "--output --models --parent --preset --templates
			    --corpus --since --until --user --consent --dry-run --no-swap
			    --again --plain $any" ;;
	moderate)	echo "--direction --prompt --jsonl --explain $any" ;;
	*)		echo "$any" ;;
	esac
}

_chatctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local command words= commands
	commands="chat ask list show search rate review delete forget adopt
		consent export import replay backup restore stats ab tune top
		status health reload rollback filters moderate tokenize help"
	command=$(_chatctl_command)
	COMPREPLY=()
	case $prev in
	--color)	words="auto always never" ;;
	--format|-f)	words="oig sft messages preference openai-dpo kto oasst
		moderation argilla label-studio csv" ;;
	--direction|-d)	words="prompt reply" ;;
	--reason)	words="incorrect unhelpful harmful wrong_refusal" ;;
	--rating)	words="good bad neutral any none ideal"
		[[ $command == export ]] && words+=" vouched all" ;;
	--split)	words="train heldout" ;;
	--category)	words="misinformation hate violence impersonation
		harassment defamation spam_scam confidential terms_violation
		malicious_bot illegal other_unsafe" ;;
	--model)
		[[ $command == reload ]] || return
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -W default -- "$cur") \
		    $(compgen -f -- "$cur"))
		return ;;
	--socket|-s|--output|-o|--parent|--preset|--templates|--corpus|import)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	esac
	if [[ -z $words ]]; then
		case $cur,$command in
		-*,*)	words=$(_chatctl_options "$command") ;;
		*,'')	words=$commands ;;
		*,rate)	words="good bad neutral" ;;
		*,consent)	words="yes no unset" ;;
		*,help)	words=$commands ;;
		*,show|*,delete|*,forget)
			# Numbers of conversations, where chatd answers at once.
			words=$(chatctl list --wait 0 --quiet 2>/dev/null |
			    while read -r n _; do echo "$n"; done) ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _chatctl chatctl
