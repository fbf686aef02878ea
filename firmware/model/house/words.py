"""Word lists of our own: rooms, floors, people, devices, things, and made-up names."""

from __future__ import annotations

import random

ROOMS = """kitchen|living room|bedroom|bathroom|hallway|garage|office|dining room|
basement|attic|nursery|laundry room|guest room|study|den|porch|patio|garden|balcony|
cellar|pantry|entryway|foyer|master bedroom|kids room|playroom|family room|workshop|
shed|utility room|conservatory|loft|corridor|closet|library|gym|game room|sun room|
lounge|stairs|staircase|landing|terrace|backyard|front yard|driveway|mud room|
music room|home office|walk in closet|greenhouse|pool house|sauna|toilet|wc|
powder room|ensuite|guest bathroom|spare room|back room|front room|tv room|
media room|home cinema|cinema room|boiler room|storage room|hobby room|craft room|
wine cellar|bar|kitchenette|breakfast room|main bedroom|upstairs bathroom|
downstairs bathroom|children's room|boys room|girls room|baby room|parlor|studio|
carport|deck|veranda|courtyard|vestibule|scullery|larder|snug|orangery|man cave|
computer room|server room|sewing room|reading room|dressing room|shower room|
rec room|common room|sitting room|drawing room|mezzanine|annex|barn|stable|hall""".replace("\n", "").split("|")

ROOM_HEADS = ["room", "bedroom", "bathroom", "office", "study", "suite", "corner", "hall"]

FLOORS = """upstairs|downstairs|ground floor|first floor|second floor|third floor|top floor|
basement floor|main floor|upper floor|lower floor|attic floor|middle floor|
bottom floor|fourth floor|lower level|upper level|main level|cellar floor""".replace("\n", "").split("|")

PEOPLE = """anna|tom|lucy|max|emma|john|maria|peter|sara|alex|jack|olivia|noah|mia|leo|ella|
lena|paul|julia|david|kate|mark|nina|oscar|ruby|sam|tina|viktor|wendy|zoe|mum|dad|
grandma|grandpa|charlie|daisy|felix|george|hannah|ivan|james|karen|liam|molly""".replace("\n", "").split("|")

ADJECTIVES = """left|right|front|back|big|small|old|new|tall|little|round|blue|red|green|white|
black|wooden|glass|main|side|corner|upper|lower|inner|outer|east|west|north|south|
center|middle|rear|long|short|antique|modern|smart|spare|guest|work|study|night|
morning|evening|summer|winter|first|second|third|vintage|copper|brass|crystal|
silver|golden|paper|moon|star|sun|lava|salt|piano|mirror|window|bed|sofa|couch|
table|shelf|cabinet|counter|island|sink|stove|vanity|wardrobe|stairway|pathway|
pool|pond|tree|gate|fence|wall|floor|ceiling|pendant|desk|reading|bedside|standing|
hanging|accent|display|bookcase|fireplace|aquarium|workbench|entrance""".replace("\n", "").split("|")

LIGHT_NOUNS = ["lamp"] * 6 + """light|light|spotlight|lantern|light strip|led strip|chandelier|bulb|sconce|
uplighter|night light|spot|downlight|floodlight|strip""".replace("\n", "").split("|")
LIGHT_NAMES = """fairy lights|christmas lights|string lights|hue go|lava lamp|floor lamp|desk lamp|
table lamp|bedside lamp|reading lamp|reading light|night light|ceiling light|
standard lamp|nightstand lamp|mood light|tree lights|under cabinet lights|salt lamp|
wall light|porch light|picture light|closet light|mirror light""".replace("\n", "").split("|")
DEVICE_NOUNS = """tv|television|radio|speaker|stereo|coffee machine|coffee maker|kettle|heater|plug|
socket|outlet|switch|humidifier|dehumidifier|air purifier|projector|printer|charger|
washing machine|dishwasher|oven|toaster|computer|boiler|pump|fountain|aquarium|
router|camera|alarm|electric blanket|ceiling fan|desk fan|extractor fan|
air conditioner|ac|thermostat|soundbar|amplifier|console|monitor|fireplace|
towel rail|hot tub|freezer|dryer|siren|heating|mixer|jukebox|ice maker|bread maker|rice cooker|water heater""".replace("\n", "").split("|")
COVER_NOUNS = """blind|curtain|shutter|awning|shade|gate|garage door|roller blind|skylight|
roof window|drape|roller shutter|sunshade|venetian blind|roman blind|
screen|hatch|canopy|barrier|door|window""".replace("\n", "").split("|")
VALVE_NOUNS = """valve|water valve|tap|sprinkler|irrigation valve|gas valve|faucet|main valve|
sprinkler valve|garden tap|radiator valve|stopcock|drip line|shutoff valve""".replace("\n", "").split("|")
BARE_COVERS = "garage door|garage door|skylight|hatch|canopy|barrier|awning|screen|roof window|roller shutter".split("|")
LOCK_NOUNS = """door|front door|back door|lock|gate|safe|padlock|side door|garage door|cellar door|
patio door|door lock|main door|cabinet|mailbox|smart lock|deadbolt|entrance|shed door""".replace("\n", "").split("|")
FAN_NOUNS = "fan|ceiling fan|desk fan|tower fan|fan|ventilator|exhaust fan|extractor fan".split("|")
MEDIA_NOUNS = """tv|television|radio|speaker|speakers|stereo|soundbar|music player|media player|hifi|
record player|receiver|amp|chromecast|apple tv|sonos|homepod|echo|projector|
smart tv|turntable|kodi|roku|shield|boombox""".replace("\n", "").split("|")
CLIMATE_NOUNS = """thermostat|heating|radiator|air conditioner|ac|heat pump|heater|boiler|
climate|underfloor heating|air conditioning|furnace|hvac""".replace("\n", "").split("|")
VACUUM_NAMES = """robby|rosie|dusty|hoover bot|roomba|roborock|dobby|vacuum cleaner robot|cleaner bot|
sir sucks a lot|wall e|dirt devil|mister clean|jeeves|deebot|neato|alfred|bender""".replace("\n", "").split("|")
SENSOR_OPEN = "door|window|front door|back door|fridge|freezer|mailbox|drawer|window|side window|cupboard|lid|balcony door|patio door|cabinet door|skylight window|cellar door|door sensor|window sensor".split("|")
SENSOR_BUSY = "motion sensor|motion|presence sensor|occupancy sensor|motion detector|desk sensor|bed sensor|smoke detector|presence|chair".split("|")

SCENES = """movie night|movie time|good night|goodnight|good morning|dinner|romantic|relax|party|bedtime|
reading|cozy|sunset|sunrise|work|focus|bright|evening|morning|wake up|away|vacation|
cooking|gaming|christmas|chill|date night|nightlight|homework|cinema|welcome home|
story time|bath time|cleaning|guests|energize|arctic aurora|tropical twilight|
savanna sunset|candle light dinner|concentrate|breakfast|lazy sunday|yoga|winter evening""".replace("\n", "").split("|")

ITEMS = """milk|eggs|bread|butter|cheese|apples|bananas|orange juice|coffee|tea|sugar|flour|rice|pasta|
tomatoes|potatoes|onions|garlic|chicken|ground beef|salmon|yogurt|cereal|olive oil|
toilet paper|paper towels|dish soap|shampoo|toothpaste|batteries|light bulbs|
dog food|cat litter|almond milk|peanut butter|strawberry jam|honey|lettuce|carrots|
broccoli|spinach|lemons|limes|avocados|frozen pizza|ice cream|chocolate|cookies|
crackers|chips|salsa|beer|red wine|sparkling water|napkins|trash bags|soap|
call the dentist|pay the rent|water the plants|wash the car|mow the lawn|
book a table|feed the cat|clean the gutters|buy a present|pick up the laundry|
fix the bike|change the filter|return the books|renew passport|walk the dog|
two liters of milk|a dozen eggs|three lemons|some ham|bottle of wine|salt and pepper|
fish and chips|mac and cheese|baking powder|vanilla|cinnamon|mushrooms|cucumber|
bell peppers|oat milk|tofu|beans|corn|sausages|bacon|turkey|mustard|ketchup|mayo""".replace("\n", "").split("|")
LISTS = """shopping list|shopping list|shopping list|to do list|todo list|grocery list|groceries|chores|
wish list|packing list|party list|task list|christmas list|hardware store|
to do|reading list|errands|weekly list|bucket list|costco|movies to watch list|
household list|work list|ideas""".replace("\n", "").split("|")

THINGS = """river|stone|maple|falcon|tiger|cloud|ocean|thunder|pepper|ginger|velvet|marble|cactus|
rocket|pirate|wizard|dragon|penguin|walrus|badger|otter|panda|lemon|cherry|mango|
coral|amber|ivory|olive|scarlet|cobalt|indigo|jade|topaz|pearl|quartz|granite|
breeze|storm|snow|frost|ember|blaze|shadow|echo|nova|comet|orbit|galaxy|nebula|
meadow|forest|canyon|harbor|lagoon|island|summit|valley|desert|prairie|tundra|
puzzle|riddle|button|ribbon|saddle|anchor|compass|lighthouse|windmill|bridge|
tower|castle|cottage|cabin|chapel|market|bakery|factory|museum|theater|station|
hammer|ladder|basket|bottle|teapot|pillow|blanket|carpet|curfew|jungle|kiwi|
violin|trumpet|banjo|cello|drum|guitar|flute|harp|oboe|tuba|yak|zebra|quilt|vortex""".replace("\n", "").split("|")

_ONSETS = "b c d f g h j k l m n p qu r s t v w x y z bl br ch cl cr dr fl fr gl gr kn ph pl pr sc sh sk sl sm sn sp st str sw th tr tw wr zh".split() + [""] * 6
_VOWELS = "a e i o u a e i o u ai au ea ee ei ie io oa oo ou y ue".split()
_CODAS = "b d f g k l m n p r s t x z ck ct ft ld lk ll lm ln lt mb mp nd ng nk nt rd rf rk rl rm rn rt sh sk ss st th tt tz".split() + [""] * 20


def made_up_word(rng: random.Random) -> str:
    """One word that no dictionary holds, over a wide spread of letters.

    As long as the names that people give: mostly two syllables, seldom three. A few are
    bare letters, as models and makers are called.
    """
    if rng.random() < 0.04:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 5)))
    count = rng.choice((1, 1, 2, 2, 2, 2, 2, 3))
    word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.6 else "") for _ in range(count))
    return word if len(word) > 2 else word + rng.choice(("ka", "lo", "ry", "mo", "dex"))


def odd_words(rng: random.Random) -> str:
    """One or two words, made up or drawn from the list of things."""
    roll = rng.random()
    if roll < 0.5:
        return made_up_word(rng)
    if roll < 0.65:
        return rng.choice(THINGS)
    if roll < 0.75:
        return f"{made_up_word(rng)} {made_up_word(rng)}"
    if roll < 0.85:
        return f"{rng.choice(THINGS)} {rng.choice(THINGS)}"
    return f"{rng.choice(ADJECTIVES)} {made_up_word(rng)}"
