# Prints what an interactive bash or zsh makes of a command line after Tab, and the choices that it lists. bash reads
# the given file first, zsh has the given directory in its fpath:
#
#   zsh -f complete.zsh bash /usr/share/bash-completion/bash_completion 'sqlite-checkpoint back'
#   zsh -f complete.zsh zsh /usr/share/zsh/vendor-completions 'sqlite-checkpoint back'
zmodload zsh/zpty zsh/zselect
typeset out piece buffer=$(mktemp)
case $1 in
bash)
	zpty shell bash --norc --noprofile -i
	zpty -w shell "PS1= PS2=; bind 'set completion-query-items 0'; bind 'set page-completions off'; source $2"
	zpty -w shell "show() { printf '%s\n' \"\$READLINE_LINE\" >$buffer; }; bind -x '\"\C-x\": show'; echo READ\Y"
	;;
zsh)
	zpty shell zsh -f -i
	zpty -w shell "PS1= PROMPT_EOL_MARK= LISTMAX=0; fpath=($2 \$fpath); autoload -U compinit; compinit -u -D"
	zpty -w shell "show() { print -r -- \$BUFFER >$buffer }; zle -N show; bindkey '^X' show; print READ\Y"
	;;
esac
until [[ $out = *READY* ]]; do zpty -r shell piece && out+=$piece; done
out=
zpty -n -w shell "$3"$'\t\t\x18'
for ((i = 0; i < 300 && ! $(stat -c %s $buffer); i++)); do zselect -t 10; done
while zpty -r -t shell piece; do out+=$piece; done
print -r -- "$(<$buffer)" ${out#*"$3"}
zpty -d shell
rm $buffer
