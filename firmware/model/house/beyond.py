"""Questions and requests that are none of the house's business: all are refused."""

from __future__ import annotations

import random

from . import words as w
from .numbers import say

TOPICS = """photosynthesis|quantum physics|the stock market|bitcoin|the french revolution|black holes|
machine learning|the roman empire|world war two|democracy|inflation|evolution|gravity|
the big bang|philosophy|shakespeare|the renaissance|climate change|vaccines|dna|the moon landing|
dinosaurs|volcanoes|chess|cricket|jazz|opera|ballet|poetry|the bible|meditation|yoga|karate|
electric cars|nuclear power|the pyramids|vikings|the cold war|penicillin|relativity|football|
the stock price|the election|the president|mortgages|taxes|insurance|algebra|calculus|chemistry|
sourdough|sushi|lasagna|pancakes|tiramisu|ramen|curry|guacamole|cheesecake|risotto|paella""".replace("\n", "").split("|")
FOODS = "a cake|bread|lasagna|pancakes|an omelette|risotto|pizza dough|curry|sushi|tiramisu|scones|a souffle|chili|goulash|paella|ramen|muffins|apple pie|hummus|pesto".split("|")
FAMOUS = "hamlet|the mona lisa|the telephone|the light bulb|penicillin|don quixote|moby dick|the eiffel tower|star wars|the internet|the airplane|harry potter|faust|guernica|the theory of relativity|dracula|the radio|the printing press|ulysses|the ninth symphony".split("|")
PLACES = "mongolia|peru|chile|kenya|nepal|bolivia|vietnam|iceland|ghana|texas|bavaria|angola|sumatra|fiji|malta|laos|paraguay|uruguay|zambia|oman|qatar|tibet|siberia|ohio|sicily".split("|")
LANGS = "french|german|spanish|latin|chinese|russian|italian|klingon|greek|arabic|dutch|polish|swedish".split("|")
STARS = "einstein|napoleon|mozart|cleopatra|elvis|picasso|newton|beethoven|marie curie|galileo|gandhi|tesla|madonna|aristotle|plato|lincoln|churchill|darwin|freud|hitchcock".split("|")

TEMPLATES = """what is {topic}|what is {topic}|explain {topic} [to me]|tell me about {topic}|tell me about {topic}|how does {topic} work|
what do you (think|know) about {topic}|write (a|an) (poem|essay|story|song|article) about {topic}|who invented {topic}|why is {topic} important|
give me (some information|facts|a summary) (on|about) {topic}|what is the history of {topic}|what does {odd} mean|define {odd}|how do you spell {odd}|
how do i (make|bake|cook) {food}|(give me|do you have) a recipe for {food}|what is the best recipe for {food}|how long does {food} take to bake|
what (are the ingredients of|goes into) {food}|how many calories are in {food}|who (wrote|invented|painted|made|discovered|directed) {famous}|
when was {famous} (made|invented|written|painted)|who is the author of {famous}|tell me about {famous}|who was {star}|when was {star} born|
when did {star} die|how old is {star}|what did {star} do|what did {star} invent|who is {star}|where was {star} born|
what is the capital of {place}|what is the population of {place}|how many people live in {place}|how far is it to {place}|what language do they speak in {place}|
who is the president of {place}|what is the currency of {place}|where is {place} on the map|how big is {place}|how do i get to {place}|what time is it in {place}|
translate {odd} (to|into) {lang}|translate good morning (to|into) {lang}|how do you say {odd} in {lang}|what is hello in {lang}|teach me {lang}|
call {person}|phone {person}|send a (message|text|mail) to {person}|text {person} that i am late|email {person}|what is {person}'s phone number|
read [me] my (mail|emails|messages|calendar)|what is on my (calendar|agenda) [today]|do i have any (meetings|appointments|mail)|remind {person} about {topic}|
book a (flight|hotel|table|trip) (to|in|at) {place}|order (a pizza|some food|a taxi|{food})|buy {item} online|how much does {item} cost|where can i buy {item}|
what is the (price|stock price) of {topic}|what is {topic} worth|who won the (game|match|election|world cup|race|lottery)|what was the score [of the game]|
what are the lottery numbers|tell me the news|what is (in|on) the news|read me the headlines|give me the latest news about {topic}|what's new in the world|
what is {big} (times|plus|minus|divided by) {big}|what is the square root of {big}|how much is {big} (times|plus|divided by) {big}|calculate {big} times {big}|
convert {big} (dollars|euros|pounds|yen) to (yen|dollars|euros|francs)|how many (euros|dollars) are {big} (pounds|yen)|what is the exchange rate|
who is the (king|queen|president|prime minister|chancellor) of {place}|what is the meaning of life|what should i (wear|eat|do|cook) (today|tonight|tomorrow)|
which (movie|book|film|series) should i (watch|read)|recommend (a|me a) (movie|book|restaurant|song)|what is a good (movie|book|restaurant)|
sing [me] a song|tell me a [bedtime] story|tell me a (fairy tale|story about {topic})|play a game [with me]|flip a coin|roll a (dice|die)|
are there aliens|is there a god|do you believe in (ghosts|god|aliens|magic)|who will win the election|what is love|why is the (ocean salty|sky blue|grass green)|
why do (cats purr|birds fly|leaves fall|we sleep|people dream)|how do (planes fly|magnets work|computers work|airplanes fly|engines work)|how does a {odd} work|
what is a {odd}|who is {odd} {odd}|can you {odd} the {odd}|write (code|a program|a script in python) (for|to|about) {topic}|fix my (code|car|computer|bike)|
how do i (fix|repair|clean|build|draw|knit|paint) a {odd}|how do i (tie a tie|change a tire|lose weight|learn {lang}|get rich|quit smoking|sleep better)|
what are the symptoms of (flu|covid|measles|diabetes|{odd})|do i have a fever|is {odd} healthy|what medicine should i take|how tall is {star}|how tall is the eiffel tower|
how far away is the (moon|sun|next star)|how deep is the ocean|how fast is (light|sound|a rocket)|how heavy is (an elephant|the earth)|how many people are in the world|
how long is the (nile|great wall|amazon)|when is (easter|ramadan|the next eclipse|mothers day)|when does the (sun rise|sun set|store close|shop open|train leave|bus come)|
how is the traffic [to work|to {place}]|when is the next (bus|train|flight)|find a restaurant near (me|{place})|navigate to {place}|take me to {place}|where is my (phone|car|wallet|key)|
what is my (name|ip address|password|birthday)|take a (picture|photo|note)|record a video|search [the web] for {topic}|google {topic}|look up {topic}|open youtube and search {topic}|
download {odd}|install {odd}|update my (phone|computer)|restart the internet|what's the wifi password|tell me something (interesting|new|i don't know)|say something in {lang}|
{odd} {odd} {odd}|{odd} {odd} of the {odd}|the {odd} is {odd}|why {odd} {odd}|my {odd} has a {odd}|i think {topic} is {odd}|{person} went to the {odd} with {person}|
yesterday we saw a {odd} {odd}|what rhymes with {odd}|how many {odd} are in a {odd}|which is better {odd} or {odd}|compare {topic} and {topic}|is {topic} better than {topic}|
what is the difference between {topic} and {topic}|who sings {odd} {odd}|what year did {star} {odd}|how many goals did {odd} score|did {odd} win yesterday|
what does the fox think about {topic}|please {odd} my {odd}|can you help me with (my homework|{topic}|maths)|do my homework|what is the chemical formula of {odd}|
name (three|five|ten) {odd}|list (all|the) {topic}|give me advice on {topic}|how much money do i have|pay my bill|transfer {big} euros to {person}|what's the best {odd} in {place}""".replace("\n", "").split("|\n")
TEMPLATES = [t for t in "|".join(TEMPLATES).replace("|\n", "\n").split("\n") if t]


def _split(text: str) -> list[str]:
    """Splits at bars that stand outside brackets."""
    out, depth, current = [], 0, ""
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "|" and depth == 0:
            out.append(current)
            current = ""
        else:
            current += char
    return [t.strip() for t in [*out, current] if t.strip()]


TEMPLATES = [t for line in TEMPLATES for t in _split(line)]
VERBS = """paint|wash|weigh|count|hide|throw|hug|kick|draw|melt|peel|carry|borrow|sell|rent|build|burn|bury|catch|chase|
eat|drink|cook|fry|bake|feed|pet|walk|ride|drive|fly|swim|climb|dig|plant|water|cut up|fold|iron|sew|knit|print|scan|
copy|delete|upload|share|post|publish|invite|visit|marry|teach|train|kiss|bless|thank|blame|sue|hire|fire|pay|invest in|
bet on|donate to|vote for|predict|analyse|summarize|describe|review|rate|rank|sort|guess|solve|prove|sing|hum|whistle|
dance|juggle|photograph|film|record|broadcast|deliver|mail|ship|order|purchase|reserve|schedule|postpone|book|ask|tell|
remind|warn|wake|tickle|scare|hunt|shoot|polish|repair|fix|break|smash|crush|squeeze|stretch|measure|boil|freeze dry|
accuse|adopt|advertise|approve|argue with|arrest|assemble|attack|bring me|browse|butter|calm|capture|carve|celebrate|
charge my card for|choose|chop|collect|colonize|comb|compose|confirm|congratulate|connect to|cure|debug|decorate|defeat|defend|
deny|deploy|design|destroy|discuss|dismantle|divide|drain|dress|drop me at|edit|email me|encrypt|enjoy|escape from|examine|
exchange|excuse|exercise with|explore|extract|feature|fetch|fight|file|fill in|flatten|flip over|follow|forgive|forward|forge|
grate|greet|grill|grind|grow|guard|handle|hand me|hang up on|harvest|haunt|hypnotize|imagine|import|inflate|inspect|install|
insult|interview|invent|jump over|justify|knock over|label|land on|laugh at|lend me|lick|like|list|love|massage|meet|memorize|mend|
merge|milk|mix|mock|mow|nail|name|negotiate with|notify|obey|observe|offer|organize|outline|pack|paraphrase|park|patch|
phone|pick up|pinch|plan|pour|praise|pray for|prepare|promise|promote|propose to|protect|punch|punish|quote|race|read|rebuild|
recite|recommend|refund|reheat|rehearse|rescue|return my|rewrite|roast|rob|salt|save|scrub|search|season|serve|shake|shave|shred|
sign|sketch|slice|smell|smoke|smuggle|sniff|spell|spray|spread|steal|stir|stream|study|subscribe to|suggest|surprise|survey|
swallow|swap|sweeten|synthesize|taste|tax|throw away|tow|toast|touch|track|trade|trademark|transcribe|treat|trim|tweet|type|undo|
uninstall|unpack|unplug|unsubscribe from|untie|update|upgrade|validate|verify|watch|wear|weld|wipe|worship|wrap|wrestle|yell at|zip up""".replace("\n", "").split("|")
TEMPLATES += ["{verb} {odd}", "{verb} the {odd}", "{verb} my {odd}", "{verb} a {odd}", "{verb} {item}", "{verb} {item} online", "{verb} the {odd} {odd}", "{verb} {person}", "{verb} {person} about {topic}",
              "{verb} {topic}", "how do i {verb} a {odd}", "can you {verb} {topic}", "did {person} {verb} the {odd}", "why did {person} {verb} {odd}", "{verb} some {item}", "is it ok to {verb} {item}", "{verb} me", "{verb} it for {person}", "{verb} {star}", "i want to {verb} {odd}", "help me [to] {verb} the {odd}", "when (did|will) {person} {verb} {odd}", "where (can|do) i {verb} {odd}", "should i {verb} {item}", "why (does|would) anyone {verb} {topic}", "who can {verb} my {odd}", "{person} wants to {verb} {odd}", "let me {verb} the {odd}", "please {verb} [the] {topic}", "{verb} {place}", "how (long|often) should i {verb} {item}", "what happens if i {verb} {item}",
              "is {topic} {odd}", "(what's|what is|tell me) the (height|weight|age|size|origin|cause|price|colour|smell|taste|speed|use|purpose|inventor|owner|history|language|religion|flag|area|mayor|governor|climate|anthem|motto) of {place}", "(what's|what is) the (height|age|price|origin|use|inventor|owner|purpose|point|best kind|opposite) of {odd}", "who (owns|runs|founded|built|destroyed|likes|knows|killed|married|taught|met|betrayed) {star}", "who (owns|runs|founded|built|likes|knows) {topic}",
              "am i (sick|late|pretty|rich|dreaming|right|wrong|ill|pregnant|famous|in trouble|too old|fat|allergic to {item})", "do i (look good|need glasses|need a doctor|snore|have a cold|have time for {topic}|have to pay|have mail|owe {person} money|know {person})", "does {person} (like|love|know|hate|have|need|own|remember) {odd}", "do (you|they|we|people|cats|dogs|children) (like|eat|need|have|know|fear) {item}",
              "can (cats|dogs|people|fish|birds|babies|you|i) (eat|drink|see|hear|smell|digest) {item}", "(where|when|why|how) (do|did|does) {odd} (come from|start|end|happen|live|die|grow|work|break)", "my (head|back|stomach|knee|tooth|car|phone|boss|neighbour|dog) (hurts|is broken|is sick|is late|is angry|died|smells|does not work)", "i (lost|broke|found|sold|forgot|need|miss|hate) my (phone|keys|wallet|passport|job|glasses|{odd})",
              "(when|what time|at what time) does the (bank|post office|pharmacy|supermarket|museum|gym|school|restaurant|{odd}) (open|close|start|end)", "how (old|rich|smart|strong|famous|dangerous|expensive|common|rare|big) is {odd}", "(what|which) (team|country|city|company|song|actor|animal|river|language) (is|has|won|makes|wrote) {odd}", "(give|send|show|get|bring) me [a|the|some] {item}", "(show|give|read|send|tell) me {topic}",
              "(book|get|find|order|call|hail) [me] a (taxi|cab|doctor|plumber|babysitter|flight|hotel|table for two|haircut)", "write [me] [a|an] (letter|email|poem|tweet|review|resume|speech|limerick) (to|for|about) {person}", "(what|how) about {topic}", "(is|was|will) {star} (alive|dead|married|rich|coming|right)", "in (which|what) (year|country|city|century) (was|is|did) {famous} (made|shown|found)", "is {odd} (bigger|older|nicer|worse|cheaper|faster) than {odd}", "are {topic} (good|bad|real|dangerous)", "calculate {big} (plus|minus|divided by) {big}", "compute {big} times {big}", "{big} times {big}", "{big} plus {big}"] * 2


def value(kind: str, rng: random.Random) -> str:
    """A filler for one of the templates' slots."""
    lists = {"topic": TOPICS, "food": FOODS, "famous": FAMOUS, "place": PLACES, "lang": LANGS, "star": STARS, "item": w.ITEMS, "person": w.PEOPLE, "verb": VERBS}
    if kind == "odd":
        return w.made_up_word(rng) if rng.random() < 0.55 else rng.choice(w.THINGS)
    if kind == "big":
        return say(rng.choice((rng.randint(30, 999), rng.randint(100, 9999))), rng)
    if kind == "topic" and rng.random() < 0.25:
        return w.odd_words(rng)
    if kind == "place" and rng.random() < 0.3:
        return w.made_up_word(rng)
    return rng.choice(lists[kind])
