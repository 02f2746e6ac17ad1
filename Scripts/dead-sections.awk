# From `llvm-objdump -rt OBJECT`: the sections that no section with a qk_ symbol reaches, one name per line.
# A name with several definitions counts as all of them.
/^RELOCATION RECORDS FOR / {
  from = substr($0, index($0, "[") + 1)
  sub(/\]:$/, "", from)
  next
}
/^SYMBOL TABLE:/ {
  from = ""
  next
}
from == "" && /\t/ {
  # address, flags, section, tab, size, name
  split($0, part, "\t")
  count = split(part[1], word, " ")
  section = word[count]
  name = part[2]
  sub(/^[0-9a-f]+ /, "", name)
  sub(/^\.(hidden|protected|internal) /, "", name)
  if (section ~ /^\.(text|rodata|data|bss)/) {
    sections[section] = 1
    homes[name] = homes[name] " " section
    if (name ~ /^qk_/) mark(section)
  }
  next
}
from != "" && NF >= 3 {
  name = $3
  for (i = 4; i <= NF; i++) name = name " " $i
  sub(/[+-]0x[0-9a-f]+$/, "", name)
  targets[from] = targets[from] "\n" name
}
function mark(section) {
  if (!(section in live)) {
    live[section] = 1
    queue[++last] = section
  }
}
END {
  while (first < last) {
    count = split(targets[queue[++first]], names, "\n")
    for (i = 1; i <= count; i++) {
      if (names[i] in sections) mark(names[i])
      reached = split(homes[names[i]], where, " ")
      for (j = 1; j <= reached; j++) mark(where[j])
    }
  }
  for (section in sections) if (!(section in live)) print section
}
