//! What runs on a host: plain `sh`, with what every Unix has.
//!
//! A backslash never stands before another or before a quote: fish would read it inside quotes. No name is ever
//! read by a shell: names come encoded (see [`name`](super::name)) and stay in variables. Every step is made by a bare
//! name in the current directory, which is held, and whose real path is compared after it was entered: so no link leads
//! a step elsewhere, whoever makes one meanwhile.

use super::name::encode;
use crate::hosts::ssh::HELLO;
use crate::hosts::sum::SH;

/// Both begin with this, after the function that makes checksums: names, entering a directory.
///
/// Its first answer is `ready` and the host's name, or `!` and why not.
const BEGIN: &str = r#"
LC_ALL=C; export LC_ALL; IFS=' '; set -f;
bs=$(printf '%b' '\0134'); nl=$(printf '%b.' '\0012'); nl=${nl%.};
dec() { case $1 in *"$bs"*) v=$(printf '%b.' "$1"); v=${v%.};; *) v=$1;; esac; };
one() { printf %s "$1" | tr '\012' ' '; };
no() { printf '%s no %s%s' "$n" "$(one "$1")" "$nl"; };
sum </dev/null >/dev/null ||
  { echo '! it has none of sha256sum, shasum and openssl, so nothing could be checked'; exit 0; };
hash() { h=$(sum 2>/dev/null <"$1") || h=; h=${h%% *}; };
size() { s=$(wc -c <"$1" 2>/dev/null) || s=-1; s=$((s)); };
go() { bad=; w=${root%/}${1:+/$1}; w=${w:-/};
  if cd "$w" 2>/dev/null && [ "$(pwd -P; echo .)" = "$w$nl." ]; then return 0; fi;
  cd / ; bad='its directory is a link, or cannot be entered'; return 1; };
"#;

/// Takes files. `$1`: the destination; `$2`: `sync` if what was written is to outlive a power cut.
///
/// | request | answers, after the number |
/// |---|---|
/// | `C DIR`: the directory of what follows | none |
/// | `D N NAME`: make a directory | `done`, `same` |
/// | `L N TARGET NAME`: make a link | `done`, `same` |
/// | `Q N SIZE SUM PART NAME`: what is there? | `none`, `same`, `part SIZE SUM` |
/// | `P N OFFSET LENGTH PART`, and the bytes | `got` |
/// | `F N MODE TIME SUM PART NAME`: check it, give it its name | `done`, `differs SUM` |
/// | `M N MODE TIME NAME`: permissions and time of a directory | `done` |
/// | `N N`: whoever should send a piece has no such file | `no` |
///
/// Each may be answered by `no REASON` too. Whoever cannot go on ends: the connection is then lost. A piece is read to its
/// end before any of it is written, so that nothing of a file is taken for a request when the disk is full.
const PUSH: &str = r#"
it=$2; dec "$1"; e=$( { mkdir -p "$v"; } 2>&1 ) && cd -P "$v" 2>/dev/null ||
  { printf '! %s%s' "$(one "${e:-cannot enter the destination}")" "$nl"; exit 0; };
root=$(pwd -P; echo .); root=${root%??}; bad=; umask 077;
x=$(printf abcdef | dd bs=4 count=1 iflag=fullblock 2>/dev/null);
if [ "$x" = abcd ]; then slow=; take() { dd bs="$1" count=1 iflag=fullblock; };
else slow=1; take() { dd ibs=1 obs=65536 count="$1"; }; fi;
keep() { sync "$1" 2>/dev/null || sync; };
way() { if [ -L "$1" ]; then no 'a link is in its place'; elif [ -d "$1" ]; then no 'a directory is in its place';
  elif [ -e "$1" ] && [ ! -f "$1" ]; then no 'something that is no file is in its place'; else return 0; fi; return 1; };
echo "ready $(uname -n)";
while read -r q n a b c d e; do
if [ "$q" = C ]; then dec "$n"; go "$v"; continue; fi;
if [ -n "$bad" ]; then if [ "$q" = P ] && [ "$b" -gt 0 ]; then take "$b" >/dev/null 2>&1; fi; no "$bad"; continue; fi;
case $q in
D) dec "$a"; f=./$v;
  if [ -L "$f" ]; then no 'a link is in its place'; elif [ -d "$f" ]; then echo "$n same";
  elif r=$(mkdir "$f" 2>&1); then echo "$n done"; else no "$r"; fi;;
L) dec "$a"; t=$v; dec "$b"; f=./$v;
  if [ -L "$f" ]; then if [ "$(readlink "$f"; echo .)" = "$t$nl." ]; then echo "$n same"; continue; fi; rm -f "$f";
  elif [ -e "$f" ]; then no 'something that is no link is in its place'; continue; fi;
  if r=$(ln -s -- "$t" "$f" 2>&1); then echo "$n done"; else no "$r"; fi;;
Q) dec "$c"; p=./$v; dec "$d"; f=./$v;
  if way "$f"; then
    if [ -f "$f" ]; then size "$f"; if [ "$s" -eq "$a" ]; then hash "$f"; if [ "$h" = "$b" ]; then
      if [ -n "$it" ]; then keep "$f"; fi; echo "$n same"; continue; fi; fi; fi;
    if [ -L "$p" ]; then no 'a link is in the place of its part';
    elif [ -f "$p" ]; then size "$p"; hash "$p"; echo "$n part $s $h"; else echo "$n none"; fi; fi;;
P) dec "$c"; p=./$v; w=; r='its part is not there any more';
  if [ "$a" = 0 ]; then
    e=; if [ -e "$p" ] || [ -L "$p" ]; then e=$(rm -f "$p" 2>&1); fi;
    if [ -z "$e" ] && e=$(set -C; { true >"$p"; } 2>&1 ); then w=1;
    else d=${e##*: }; case $d in *"$p"*) d=$e;; esac; r="no file can be made in its directory${d:+: $d}"; fi;
  elif [ -f "$p" ] && [ ! -L "$p" ]; then w=1; fi;
  if [ -z "$w" ]; then if [ "$b" -gt 0 ]; then take "$b" >/dev/null 2>&1; fi; no "$r";
  elif [ "$b" = 0 ]; then echo "$n got";
  elif r=$( { take "$b" >>"$p"; } 2>&1 ); then echo "$n got";
  else no "$r"; if [ -n "$slow" ]; then exit 1; fi; fi;;
F) dec "$d"; p=./$v; dec "$e"; f=./$v;
  if way "$f"; then hash "$p";
    if [ "$h" != "$c" ]; then rm -f "$p"; echo "$n differs $h"; continue; fi;
    if r=$( { chmod "$a" "$p" && { [ "$b" = - ] || TZ=UTC0 touch -m -t "$b" "$p"; } &&
      { [ -z "$it" ] || keep "$p"; } && mv -f "$p" "$f" && { [ -z "$it" ] || keep .; }; } 2>&1 );
    then if [ -z "$it" ]; then echo "$n done"; else hash "$f"; if [ "$h" = "$c" ]; then echo "$n done"; else echo "$n differs $h"; fi; fi;
    else no "$r"; fi; fi;;
M) dec "$c"; f=./$v;
  if [ -L "$f" ] || [ ! -d "$f" ]; then no 'it is no directory any more';
  elif r=$( { { [ "$b" = - ] || TZ=UTC0 touch -m -t "$b" "$f"; } && chmod "$a" "$f"; } 2>&1 ); then echo "$n done"; else no "$r"; fi;;
N) no 'the host that should send it has it no more';;
*) exit 1;;
esac; done; exit 0
"#;

/// Asks another host to take files: starts [`PUSH`] there, hands requests on to it, and its answers back. `$1`: the
/// directory with the files, the same on both; `$2`: seconds for connecting; `$3`: the user, or nothing; `$4`: the port;
/// `$5`: the host; `$6`: what its shell is given.
///
/// | request | becomes |
/// |---|---|
/// | `C DIR`: the directory of what follows, on both | the same |
/// | `S N OFFSET LENGTH PART NAME SIZE`: send a piece of a file of that size | `P`, and the bytes; or `N` |
///
/// When the other connection ends badly, this one does too, with what ssh has said on stderr.
const RELAY: &str = r#"
dec "$1"; cd -P "$v" 2>/dev/null || { echo '! its directory cannot be entered'; exit 0; };
root=$(pwd -P; echo .); root=${root%??}; bad=;
feed() { while read -r q n a b c d e; do case $q in
C) dec "$n"; go "$v"; printf '%s%s' "C $n" "$nl";;
S) dec "$d"; f=./$v; s=-1;
  if [ -z "$bad" ] && [ -f "$f" ] && [ ! -L "$f" ]; then size "$f"; fi;
  if [ "$s" = "$e" ]; then printf '%s%s' "P $n $a $b $c" "$nl";
    { tail -c "+$((a+1))" "$f"; cat /dev/zero; } | head -c "$b";
  else printf '%s%s' "N $n" "$nl"; fi;;
esac; done; };
feed 2>/dev/null | { ssh -o BatchMode=yes -o ConnectTimeout="$2" -o ServerAliveInterval=5 -o ServerAliveCountMax=3
  -o LogLevel=ERROR -o ForwardX11=no -o ClearAllForwardings=yes -o RequestTTY=no ${3:+-l "$3"} -p "$4" -- "$5" "$6";
  e=$?; [ "$e" = 0 ] || kill "$$"; };
exit 0
"#;

/// Gives files. `$1`: [`LIST`], encoded: csh would take a `!` amiss that stands before a letter.
///
/// | request | answers |
/// |---|---|
/// | `Z N DIR NAME`: all below it | lines of [`LIST`], then `N end` |
/// | `C DIR`: the directory of what follows | none |
/// | `S N LENGTH NAME`: the checksum of so many bytes, or of `all` | `N sum SIZE SUM` |
/// | `G N OFFSET LENGTH NAME`: bytes | `N bytes`, and so many bytes: a file that is shorter by now ends with zeros |
const PULL: &str = r#"
dec "$1"; list=$v; bad=; home=$(pwd -P; echo .); home=${home%??};
exec 3>&1; echo "ready $(uname -n)";
while read -r q n a b c; do
case $q in
C) dec "$n"; case $v in /*) ;; *) v=${home%/}/$v;; esac; bad=; cd -P "$v" 2>/dev/null || { cd /; bad='its directory cannot be entered'; };;
Z) dec "$a"; case $v in /*) ;; *) v=${home%/}/$v;; esac;
  if cd -P "$v" 2>/dev/null; then dec "$b"; f=./$v;
    if [ -e "$f" ] || [ -L "$f" ]; then r=$( { find "$f" -exec sh -c "$list" sh {} + >&3; } 2>&1 );
      if [ -z "$r" ]; then echo "$n end"; else no "$r"; fi;
    else no 'it is not there'; fi;
  else no 'its directory is not there, or cannot be entered'; fi;;
S) dec "$b"; f=./$v;
  if [ -n "$bad" ]; then no "$bad"; elif [ -L "$f" ] || [ ! -f "$f" ]; then no 'it is no file any more';
  elif [ "$a" = all ]; then size "$f"; hash "$f"; if [ -n "$h" ]; then echo "$n sum $s $h"; else no 'it cannot be read'; fi;
  else h=$(head -c "$a" "$f" 2>/dev/null | sum); h=${h%% *}; echo "$n sum $a $h"; fi;;
G) dec "$c"; f=./$v; echo "$n bytes";
  { if [ -f "$f" ] && [ ! -L "$f" ] && [ -z "$bad" ]; then tail -c "+$((a+1))" "$f" 2>/dev/null | head -c "$b"; fi; cat /dev/zero; } 2>/dev/null | head -c "$b";;
*) exit 1;;
esac; done; exit 0
"#;

/// Writes a line for each path that it is given: `e KIND MODE MTIME SIZE PATH TARGET`, with paths as
/// [`heard`](super::name::heard) reads them.
const LIST: &str = r#"
IFS=' '; set -f;
word() { case $1 in *[!A-Za-z0-9._/+,=@%:-]*|'') w=x$(printf %s "$1" | od -An -v -tx1 | tr -cd 0-9a-f);; *) w==$1;; esac; };
if stat -c %a . >/dev/null 2>&1; then st() { stat -c '%a %Y %s' "$1"; }; else st() { stat -f '%Lp %m %z' "$1"; }; fi;
for p do t==;
  if [ -L "$p" ]; then k=l; t=$(readlink "$p"; echo .); word "${t%??}"; t=$w;
  elif [ -d "$p" ]; then k=d; elif [ -f "$p" ]; then k=f; else k=o; fi;
  word "$p"; i=$(st "$p") || continue; echo "e $k $i $w $t";
done
"#;

/// Returns the script that takes files.
pub(super) fn push() -> String {
    one_line(&[SH, BEGIN, PUSH])
}

/// Returns the script that takes files, for a connection that another host makes.
pub(super) fn far() -> String {
    format!("echo {HELLO}; {}", push())
}

/// Returns the script of the host that makes it.
pub(super) fn relay() -> String {
    one_line(&[BEGIN, RELAY])
}

/// Returns the script that gives files, and its argument.
pub(super) fn pull() -> (String, String) {
    (one_line(&[SH, BEGIN, PULL]), encode(one_line(&[LIST]).as_bytes()))
}

/// A shell that is no sh may not take an end of line inside quotes.
fn one_line(pieces: &[&str]) -> String {
    let lines = pieces.iter().flat_map(|piece| piece.lines());
    let lines: Vec<_> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_passes_it_on_as_it_is() {
        let (pull, list) = pull();
        assert!(
            list.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'!'),
            "{list}"
        );
        let calls = |script: &str| {
            script
                .match_indices('!')
                .any(|(at, _)| !script[at + 1..].starts_with([' ', '=']))
        };
        for script in [push(), relay(), pull] {
            assert!(!script.contains('\n') && !calls(&script), "{script}");
            assert!(!script.contains("\\\\") && !script.contains("\\'"), "{script}");
            let checked = std::process::Command::new("sh")
                .args(["-n", "-c", &script])
                .output()
                .unwrap();
            assert!(
                checked.status.success(),
                "{}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
}
