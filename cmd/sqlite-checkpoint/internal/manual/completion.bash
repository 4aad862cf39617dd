# Completion of {{.Program}} for bash, as: source <({{.Program}} completion bash)
{{.Function}}() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' i
	COMPREPLY=()
	if [ "$word" = = ]; then # bash parts --flag=value at =
		word=''
	elif [ "$before" = = ]; then
		before=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) # what follows is a command line of its own
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			elif [ "$before" = -- ]; then
				mapfile -t COMPREPLY < <(compgen -c -- "$word")
			fi
			return
			;;
{{- range .Commands}}
		{{join .Names "|"}}) command=${command:-{{.Name}}} ;;
{{- end}}
		esac
	done
	case $command:$before in
{{- range .Flags}}{{if .Value}}
	*:{{join .Spellings "|*:"}}) {{template "value" .}} ;;
{{- end}}{{end}}
{{- range $command := .Commands}}{{range .Flags}}{{if .Value}}
	{{$command.Name}}:{{join .Spellings (print "|" $command.Name ":")}}) {{template "value" .}} ;;
{{- end}}{{end}}{{end}}
	esac
	case $command:$word in
	:-*) mapfile -t COMPREPLY < <(compgen -W '{{words .Flags}}' -- "$word") ;;
	:*) mapfile -t COMPREPLY < <(compgen -W '{{range .Commands}}{{.Name}} {{end}}' -- "$word") ;;
{{- $common := words .Flags}}
{{- range .Commands}}
	{{.Name}}:-*) mapfile -t COMPREPLY < <(compgen -W '{{words .Flags}} {{$common}}' -- "$word") ;;
{{- $name := .Name}}{{range .Args}}{{if .Values}}
	{{$name}}:*) mapfile -t COMPREPLY < <(compgen -W '{{join .Values " "}}' -- "$word") ;;
{{- end}}{{end}}{{end}}
	esac
}
complete -o default -F {{.Function}} {{.Program}}
{{- define "value"}}
{{- if .Values}}mapfile -t COMPREPLY < <(compgen -W '{{join .Values " "}}' -- "$word"); return
{{- else if .TakesPath}}return
{{- else}}compopt +o default; return
{{- end}}{{end}}
