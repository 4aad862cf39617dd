#compdef {{.Program}}
# Completion of {{.Program}} for zsh: a file {{.Function}} in a directory of fpath.
{{- define "flag"}}
		{{if .Short}}'(-{{.Short}} --{{.Long}})'{-{{.Short}},--{{.Long}}{{if .Value}}={{end}}}{{else}}'--{{.Long}}{{if .Value}}={{end}}{{end}}
{{- if .Short}}'{{end}}[{{zsh .Help}}]{{if .Value}}:{{zsh .Value}}:{{if .Values}}({{join .Values " "}}){{else if .TakesPath}}_files{{else}} {{end}}{{end}}' \
{{- end}}
{{.Function}}() {
	local curcontext=$curcontext state line
	typeset -A opt_args
	local -a known=(
{{- range .Commands}}
		'{{.Name}}:{{zsh .Help}}'
{{- end}}
	)
	_arguments -C \
{{- range .Flags}}{{template "flag" .}}{{end}}
		'1:command:->command' \
		'*::argument:->argument'
	case $state in
	command) _describe command known ;;
	argument)
		local -i end=${words[(i)--]}
		if ((end < CURRENT)); then # what follows is a command line of its own
			words=("${(@)words[end+1,-1]}")
			((CURRENT -= end))
			_normal
			return
		fi
		curcontext=${curcontext%:*}-$line[1]:
		case $line[1] in
{{- $common := .Flags}}
{{- range .Commands}}
		{{join .Names "|"}}) _arguments \
{{- range .Flags}}{{template "flag" .}}{{end}}
{{- range $common}}{{template "flag" .}}{{end}}
{{- range .Args}}{{if not .IsCMD}}
		'{{if .Many}}*{{end}}: :{{if .Values}}({{join .Values " "}}){{else}}_files{{end}}' \
{{- end}}{{end}}
		&& return ;;
{{- end}}
		esac ;;
	esac
}
compdef {{.Function}} {{.Program}} 2>/dev/null
[ "$funcstack[1]" = "{{.Function}}" ] && {{.Function}} "$@"
