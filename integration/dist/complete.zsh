# Prints what an interactive zsh makes of a command line after Tab, and the choices that it lists:
#
#   zsh -f complete.zsh 'sqlite-checkpoint back'
zmodload zsh/zpty zsh/zselect
typeset out piece buffer=$(mktemp)
zpty shell zsh -f -i
zpty -w shell "PS1= PROMPT_EOL_MARK= LISTMAX=0; fpath=($FPATH_FIRST \$fpath); autoload -U compinit; compinit -u -D"
zpty -w shell "show() { print -r -- \$BUFFER >$buffer }; zle -N show; bindkey '^X' show; print READY"
until [[ $out = *READY*READY* ]]; do zpty -r shell piece && out+=$piece; done
out=
zpty -n -w shell "$1"$'\t\t\x18'
for ((i = 0; i < 100 && ! $(stat -c %s $buffer); i++)); do zselect -t 10; done
while zpty -r -t shell piece; do out+=$piece; done
print -r -- "$(<$buffer)" ${out#*"$1"}
zpty -d shell
rm $buffer
