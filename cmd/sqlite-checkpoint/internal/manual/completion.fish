# Completion of {{.Program}} for fish: a file {{.Program}}.fish in ~/.config/fish/completions.
{{- $program := .Program}}
function _{{.Function}}_follows # what follows -- is a command line of its own
	set -l words (commandline -opc)
	set -e words[1..(contains -i -- -- $words)]
	complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c {{$program}} -n 'contains -- -- (commandline -opc)' -f -a '(_{{.Function}}_follows)'
{{- define "flag"}}{{if .Short}} -s {{.Short}}{{end}} -l {{.Long}}{{if .Value}}{{if .TakesPath}} -r -F{{else}} -x{{end}}{{end}}
{{- if .Values}} -a {{quote (join .Values " ")}}{{end}} -d {{quote .Help}}{{end}}
complete -c {{$program}} -n __fish_use_subcommand -f
{{- range .Commands}}
complete -c {{$program}} -n __fish_use_subcommand -a {{.Name}} -d {{quote .Help}}
{{- end}}
{{- range .Flags}}
complete -c {{$program}}{{template "flag" .}}
{{- end}}
{{- range $command := .Commands}}
{{- $seen := quote (print "__fish_seen_subcommand_from " (join .Names " "))}}
{{- range .Flags}}
complete -c {{$program}} -n {{$seen}}{{template "flag" .}}
{{- end}}
{{- range .Args}}{{if .Values}}
complete -c {{$program}} -n {{$seen}} -f -a {{quote (join .Values " ")}}
{{- end}}{{end}}{{end}}
