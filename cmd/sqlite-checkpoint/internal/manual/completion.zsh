#compdef {{.Program}}
# Completion of {{.Program}} for zsh: a file {{.Function}} in a directory of fpath.
{{- define "flag"}}
		{{if .Short}}'(-{{.Short}} --{{.Long}})'{-{{.Short}},--{{.Long}}{{if .Value}}={{end}}}{{else}}'--{{.Long}}{{if .Value}}={{end}}{{end}}
{{- if .Short}}'{{end}}[{{zsh .Help}}]{{if .Value}}:{{zsh .Value}}:{{if .Values}}({{join .Values " "}}){{else if .TakesPath}}_files{{else}} {{end}}{{end}}' \
{{- end}}
{{.Function}}() {
	local curcontext=$curcontext state line
	typeset -A opt_args
	local -a commands=(
{{- range .Commands}}
		'{{.Name}}:{{zsh .Help}}'
{{- end}}
	)
	_arguments -C \
{{- range .Flags}}{{template "flag" .}}{{end}}
		'1:command:->command' \
		'*::argument:->argument'
	case $state in
	command) _describe command commands ;;
	argument)
		curcontext=${curcontext%:*}-$line[1]:
		case $line[1] in
{{- $common := .Flags}}
{{- range .Commands}}
		{{join .Names "|"}}) _arguments \
{{- range .Flags}}{{template "flag" .}}{{end}}
{{- range $common}}{{template "flag" .}}{{end}}
{{- if .RunsCMD}}
		'1:{{(index .Args 0).Name}}:_files' \
		'*:: :_normal' ;;
{{- else if .Args}}
{{- $last := index .Args 0}}{{range .Args}}
		': :{{if .Values}}({{join .Values " "}}){{else}}_files{{end}}' \
{{- end}}
		&& return ;;
{{- else}}
		&& return ;;
{{- end}}{{end}}
		esac ;;
	esac
}
compdef {{.Function}} {{.Program}} 2>/dev/null
[ "$funcstack[1]" = "{{.Function}}" ] && {{.Function}} "$@"
